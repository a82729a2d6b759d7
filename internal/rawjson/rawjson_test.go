package rawjson_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/rawjson"
)

// The scanner is compared with encoding/json by FuzzScanJSON of package packet.
func TestScanIsBoundedInDepth(t *testing.T) {
	t.Parallel()
	for depth := range 4 {
		for _, c := range []struct {
			json string
			ok   bool
		}{
			{strings.Repeat("[", depth) + "1" + strings.Repeat("]", depth), true},
			{strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth), true},
			{strings.Repeat("[", depth+1) + strings.Repeat("]", depth+1), false},
			{strings.Repeat(`{"a":`, depth) + "[]" + strings.Repeat("}", depth), false},
			{" 1 2", false},
			{"", false},
		} {
			if got := rawjson.Scan([]byte(c.json), depth); got != c.ok {
				t.Errorf("%s in %d levels: %t", c.json, depth, got)
			}
		}
	}
}

func TestScanList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		json string
		ok   bool
		n    int
		head string // what stands before the end of the first element
	}{
		{`[]`, true, 0, ``},
		{`[ ] `, true, 0, ``},
		{`[ "a" , 1, [2] ] `, true, 3, `[ "a"`},
		{`[1]2`, false, 0, ``},
		{`[1`, false, 0, ``},
		{`{}`, false, 0, ``},
		{` []`, false, 0, ``},
		{``, false, 0, ``},
	} {
		l, ok := rawjson.ScanList([]byte(c.json), 2)
		if ok != c.ok || ok && (l.N != c.n || c.json[:l.FirstEnd] != c.head) {
			t.Errorf("%q: %+v, %t", c.json, l, ok)
		}
	}
}

func TestCursorWalks(t *testing.T) {
	t.Parallel()
	c := rawjson.Cursor{P: []byte(` { "a" : [ 1 , "x\"]" , { } , [ ] ] , "b\u0063" : null } `)}
	var parts []string
	for c.More() {
		name := string(c.Name())
		if c.Peek() != '[' {
			parts = append(parts, name+"="+string(c.Value()))
			continue
		}
		for c.More() {
			parts = append(parts, name+"="+string(c.Value()))
		}
	}
	want := []string{`a=1`, `a="x\"]"`, `a={ }`, `a=[ ]`, `b\u0063=null`}
	if !slices.Equal(parts, want) || string(c.P[c.I:]) != " " {
		t.Errorf("got %q and %q left, want %q", parts, c.P[c.I:], want)
	}
}

func TestSIO_BIN_4_SIO_BIN_5_Placeholders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		json string
		want string
	}{
		{string(rawjson.AppendPlaceholder(nil, 1)), "1 true"},
		{`{"n\u0075m":1.0,"x":{},"_placeholder":true}`, "1 true"},
		{`{"num":1.0,"x":{},"\u005fplaceholder":true}`, "0 false"}, // see PlainNames
		{`{"_placeholder":true,"num":2}`, "0 false"},
		{`{"_placeholder":true,"num":0.5}`, "0 false"},
		{`{"_placeholder":1,"num":0}`, "0 false"},
		{`{"_placeholder":true,"_placeholder":false,"num":0}`, "0 false"},
		{`[0]`, "0 false"},
	} {
		i, ok := rawjson.PlaceholderIndex([]byte(c.json), 2)
		if got := fmt.Sprint(i, ok); got != c.want {
			t.Errorf("%s: %s, want %s", c.json, got, c.want)
		}
	}
}

func TestSIO_BIN_4_NamesOfPlaceholders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, plain, hidden string }{
		{`{"_placeholder":true}`, `{"_placeholder":true}`, `{"\u005fplaceholder":true}`},
		{`{"\u005Fplac\u0065holder":true}`, `{"_placeholder":true}`, `{"\u005Fplac\u0065holder":true}`},
		{`["_placeholder","\u005fplaceholder"]`, `["_placeholder","_placeholder"]`, `["\u005fplaceholder","\u005fplaceholder"]`},
		{`"\\_placeholder"`, `"\\_placeholder"`, `"\\_placeholder"`},
		{`"\"_placeholder"`, `"\"_placeholder"`, `"\"\u005fplaceholder"`}, // which means the same
		{`{"placeholder":"_","a":"\u0061"}`, `{"placeholder":"_","a":"\u0061"}`, `{"placeholder":"_","a":"\u0061"}`},
		{`"\u005f"`, `"\u005f"`, `"\u005f"`},
		{``, ``, ``},
	} {
		if got := string(rawjson.PlainNames([]byte(c.in))); got != c.plain {
			t.Errorf("%s in plain is %s, want %s", c.in, got, c.plain)
		}
		if got := string(rawjson.HideNames([]byte(c.in))); got != c.hidden {
			t.Errorf("%s hidden is %s, want %s", c.in, got, c.hidden)
		}
	}
	for _, name := range []string{"_placeholder", "a\"b"} {
		var back string
		p := rawjson.AppendName(nil, name)
		if err := json.Unmarshal(p, &back); err != nil || back != name || strings.Contains(string(p), "_") {
			t.Errorf("%q became %s", name, p)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "plain", "a\"b\\c\n\x00\x1f\x7f", "é日😀\u2028", "12345678\"12345678"} {
		quoted := `"` + string(rawjson.AppendText(nil, []byte(s))) + `"`
		var back string
		if err := json.Unmarshal([]byte(quoted), &back); err != nil || back != s {
			t.Errorf("%q became %s: %v", s, quoted, err)
		}
		if got := rawjson.DecodeString([]byte(quoted[1 : len(quoted)-1])); got != s {
			t.Errorf("%s was read as %q", quoted, got)
		}
		if got := string(rawjson.AppendUnescaped([]byte("x"), []byte(quoted[1:len(quoted)-1]))); got != "x"+s {
			t.Errorf("%s was read as %q", quoted, got)
		}
	}
}
