package packet_test

import (
	"testing"

	"github.com/sioplug/sioplug/internal/packet"
)

func TestCutLastString(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, last, before string
		ok               bool
	}{
		{``, "", "[]", false},
		{`1`, "", "[1]", false},
		{`"a"`, "a", "[]", true},
		{`1,"é\n"`, "é\n", "[1]", true},
		{` [",",1] , {"a":"b"} , "x" `, "x", `[ [",",1] , {"a":"b"}]`, true},
		{`"a","b"`, "b", `["a"]`, true},
		{`"a",null`, "", `["a",null]`, false},
	} {
		last, before, ok := args(t, c.in).CutLastString()
		if got := string(before.AppendData(nil)); last != c.last || got != c.before || ok != c.ok {
			t.Errorf("[%s]: %q, %s, %t", c.in, last, got, ok)
		}
		n := 0
		for range before.All() {
			n++
		}
		if n != before.Len() {
			t.Errorf("[%s]: %d values, Len %d", c.in, n, before.Len())
		}
	}
}

// What remains is valid, and has one value less.
func FuzzCutLastString(f *testing.F) {
	for _, s := range []string{`2["e",1,"x"]`, `2["e"," ,"," ]"]`, `2["e"]`, `2["e", [1] , "a" ]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, complete, err := new(packet.Decoder).Text([]byte(s))
		if err != nil || !complete {
			return
		}
		want, err := k.Args.Values(nil)
		if err != nil {
			return
		}
		last, before, ok := k.Args.CutLastString()
		if !ok {
			return
		}
		got, err := before.Values(nil)
		if err != nil || len(got) != len(want)-1 || want[len(want)-1] != last {
			t.Errorf("%v and %q of %v, %v", got, last, want, err)
		}
		if _, err := packet.NewArgs(packet.Ack, before.AppendData(nil), nil); err != nil {
			t.Errorf("%s: %v", before.AppendData(nil), err)
		}
	})
}
