package engine_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
	"github.com/sioplug/sioplug/internal/require"
)

// What clients send that escape less than browsers do.
func TestParametersOfClientsThatEscapeLittleDoNotVanish(t *testing.T) {
	for query, want := range map[string]url.Values{
		"":                         {},
		"&&":                       {},
		"a":                        {"a": {""}},
		"=b":                       {"": {"b"}},
		"a=1;b=2":                  {"a": {"1;b=2"}},
		"a;b=1&c=;":                {"a;b": {"1"}, "c": {";"}},
		"discount=50%":             {"discount": {"50%"}},
		"a=%zz&b=%4&c=%41":         {"a": {"%zz"}, "b": {"%4"}, "c": {"A"}},
		"%=%25%":                   {"%": {"%%"}},
		"name=Jürgen Müller":       {"name": {"Jürgen Müller"}},
		"name=J%C3%BCrgen+M%fcler": {"name": {"Jürgen M\uFFFDler"}},
		"t=%e2%82&u=%ed%a0%80":     {"t": {"\uFFFD"}, "u": {"\uFFFD\uFFFD\uFFFD"}},
		"a=1&a=2&a=":               {"a": {"1", "2", ""}},
		"a=b=c":                    {"a": {"b=c"}},
		`j={"a":[1,"b c"]}`:        {"j": {`{"a":[1,"b c"]}`}},
		"a=1#b=2":                  {"a": {"1"}},
	} {
		if diff := cmp.Diff(want, engine.ParseQuery(query)); diff != "" {
			t.Errorf("%q: %s", query, diff)
		}
	}
}

// The session's request is kept as text and parsed again.
func TestParametersAreTheSameForAsLongAsTheSessionLives(t *testing.T) {
	inBubble(t, "query", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.Do(enginetest.Request{Query: polling + "&a=1;2&b=50%"})
		q := k.LastPeer().Session.Request().Query
		same(t, "a", q.Get("a"), "1;2")
		same(t, "b", q.Get("b"), "50%")
	})
	inBubble(t, "a session whose id has to be unescaped", engine.Options{
		GenerateID: func(*engine.Request) (string, error) { return "a;b%", nil },
	}, func(t *testing.T, k *enginetest.Kit) {
		k.Do(enginetest.Request{Query: polling})
		k.LastPeer().Send("x")
		same(t, "poll", k.Do(enginetest.Request{Query: polling + "&sid=a;b%"}).String(), "200 4x")
	})
	inBubble(t, "a form", jsonpOptions(), func(t *testing.T, k *enginetest.Kit) {
		s := openScripted(t, k, polling+"&j=0", "0")
		same(t, "post", s.post("x=;&d=450%;+%zz").String(), "200 ok")
		same(t, "messages", strings.Join(s.Messages(), "|"), "50%; %zz")
	})
}

// What the JavaScript server makes of a URL.
const urlSearchParams = `
let all = "";
process.stdin.on("data", (s) => { all += s; }).on("end", () => {
  const parse = (q) => [...new URL("/?" + q, "https://socket.io").searchParams];
  process.stdout.write(JSON.stringify(JSON.parse(all).map(parse)));
});`

func TestQueriesAreParsedAsByTheJavaScriptServer(t *testing.T) {
	pieces := []string{
		"a", "b", "é", "😀", " ", "+", "%", "%4", "%41", "%zz", "%C3%BC", "%c3", "%e2%82", "%ED%A0%80", "%F0%9F%98", "%ff",
		"%00", "%0a", ";", "&", "&", "=", "=", "%26", "%3D", "#", "?", "/", "\\", `"`, "'", "<", "[", "]", "{", "|", "^", "`", "~",
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	queries := make([]string, 3000)
	for i := range queries {
		q := "x=" // spaces at either end of a URL do not count
		for range rnd.IntN(12) {
			q += pieces[rnd.IntN(len(pieces))]
		}
		queries[i] = q + "&z"
	}
	in, err := json.Marshal(queries)
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(context.Background(), require.Tool(t, "node"), "-e", urlSearchParams)
	node.Stdin = strings.NewReader(string(in))
	out, err := node.Output()
	if err != nil {
		t.Fatal(err)
	}
	var parsed [][][2]string
	if err := json.Unmarshal(out, &parsed); err != nil {
		t.Fatal(err)
	}
	for i, pairs := range parsed {
		want := url.Values{}
		for _, p := range pairs {
			want.Add(p[0], p[1])
		}
		if diff := cmp.Diff(want, engine.ParseQuery(queries[i])); diff != "" {
			t.Errorf("%q: %s", queries[i], diff)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{"a=1;b=%zz", "%e2%82&+=%", "a=%C3%BC&&=#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := engine.ParseQuery(s)
		// What is escaped as browsers do it means the same to everybody.
		again, err := url.ParseQuery(got.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(got, engine.ParseQuery(got.Encode())); diff != "" {
			t.Error(diff)
		}
	})
}
