package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T) string {
	t.Helper()
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	srv.On("echo", func(c *sio.Ctx) error {
		values, err := c.Args().Values()
		if err != nil {
			return err
		}
		if c.WantsAck() {
			return c.Ack(values...)
		}
		return c.Emit("echo", values...)
	})
	srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var a struct{ Token string }
		if err := c.Bind(&a); err != nil {
			return err
		}
		if a.Token != "secret" {
			return &sio.Error{Message: "no entry"}
		}
		return nil
	}))
	hs := httptest.NewServer(srv)
	t.Cleanup(hs.Close)
	return hs.URL
}

// cat runs siocat and returns what it prints, without the id of the socket.
func cat(t *testing.T, colours bool, input string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, strings.NewReader(input), &printer{w: &out, colours: colours}, io.Discard)
	lines := strings.Split(out.String(), "\n")
	return strings.Join(lines[min(1, len(lines)):], "\n"), err
}

const auth = `-auth={"token":"secret"}`

func TestLines(t *testing.T) {
	t.Parallel()
	url := serve(t)
	const input = "echo 1\n\n?echo \"two\" {\"a\": [null]}\n?echo\nbad {\n"
	for _, tt := range []struct {
		colours bool
		args    []string
		want    []string
	}{
		{false, nil, []string{"< echo 1", `= echo "two" {"a":[null]}`, "= echo", `! error "the arguments of \"bad\" are no JSON: unexpected EOF"`}},
		{true, nil, []string{"\x1b[36m< echo 1\x1b[0m"}},
		{false, []string{"-json"}, []string{
			`{"type":"event","event":"echo","args":[1]}`, `{"type":"ack","event":"echo","args":["two",{"a":[null]}]}`,
			`{"type":"ack","event":"echo","args":[]}`,
		}},
		{false, []string{"-transports=polling,websocket", "-header=X-A: b"}, []string{"< echo 1", "= echo"}},
	} {
		got, err := cat(t, tt.colours, input, append(tt.args, auth, url)...)
		for _, want := range tt.want { // an acknowledgement may come before an event
			if err != nil || !strings.Contains(got, want+"\n") {
				t.Errorf("%q: %v\n%s", tt.args, err, got)
			}
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	url := serve(t)
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no URL":     {nil, "say which URL"},
		"bad URL":    {[]string{"localhost"}, "does not begin with http"},
		"refused":    {[]string{url}, "no entry"},
		"bad auth":   {[]string{"-auth=x", url}, "invalid"},
		"bad header": {[]string{"-header=x", url}, "name:value"},
		"bad flag":   {[]string{"-x", url}, "flag provided but not defined"},
	} {
		if _, err := cat(t, false, "", tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := cat(t, false, "", "-h"); err != nil {
		t.Errorf("help: %v", err)
	}
}

// A server cannot move the cursor, change the title of the window, or forge lines.
func TestServersDoNotControlTheTerminal(t *testing.T) {
	t.Parallel()
	const (
		name = "\x1b]0;title\x07\n# connect \u009b2J\u202e\U000e0041é"
		safe = `\u001b]0;title\u0007\u000a# connect \u009b2J\u202e\udb40\udc41é`
	)
	for _, tt := range []struct {
		json bool
		want string
	}{
		{false, "< " + safe + ` "` + strings.ReplaceAll(safe, `\u000a`, `\n`) + `"` + "\n"},
		{true, `{"type":"event","event":"` + strings.ReplaceAll(safe, `\u000a`, `\n`) + `","args":["` + strings.ReplaceAll(safe, `\u000a`, `\n`) + `"]}` + "\n"},
	} {
		var out bytes.Buffer
		p := &printer{w: &out, json: tt.json}
		p.print("event", name, name)
		if got := out.String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	if got := printable("no\x1b[2J"); got != `no\u001b[2J` {
		t.Errorf("an error: %q", got)
	}
}
