package transcripts_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

var update = flag.Bool("update", false, "write down what servers say in testdata/*.txtar, instead of checking it")

// A transcript is a story between clients and a server, over WebSockets, in fake
// time: the files of testdata, which begin with what they show. Their sections
// are
//
//	-- client --    what the client sends, one frame a line, all in one write;
//	                the first time, it opens its connection
//	-- wait 25s --  nothing is sent
//	-- server --    what the server has said when all is quiet again
//
// of which the last is written by "go test ./core -run Transcripts -update". The second
// client is "client 2", and what it gets "server 2". Binary frames are a "b" and
// base64. What stands in parentheses is no frame: the client's "(abort)", which
// drops the connection, and of the server how the connection ended, and the
// reasons that OnDisconnect was given. Ids are told apart, but not told.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("stories: %q, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				got := txtar.Format(play(t, txtar.Parse(want)))
				if *update {
					must(t, os.WriteFile(file, got, 0o644))
				} else if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Errorf("-told +happened:\n%s", diff)
				}
			})
		})
	}
}

// play does what a story's clients do, and returns the story as it happened.
func play(t *testing.T, story *txtar.Archive) *txtar.Archive {
	t.Helper()
	s := new(stage)
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	s.script(srv)
	s.dialer = siotest.Pipes(t, srv)
	t.Cleanup(func() { shutdown(t, srv) })
	happened := &txtar.Archive{Comment: story.Comment}
	for _, section := range story.Files {
		verb, object, _ := strings.Cut(section.Name, " ")
		switch verb {
		case "server":
			continue // it is known only now what it says
		case "client":
			s.actor(t, object).act(t, lines(section.Data))
		case "wait":
			d, err := time.ParseDuration(object)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(d)
		default:
			t.Fatalf("section %q", section.Name)
		}
		synctest.Wait()
		happened.Files = append(happened.Files, section)
		happened.Files = append(happened.Files, s.heard()...)
	}
	return happened
}

func lines(data []byte) []string {
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' })
}

// A stage is where a story is played.
type stage struct {
	dialer siotest.Dialer
	actors []*actor // in the order in which they come
	ids    []string // likewise

	mu      sync.Mutex
	reasons []string
}

// script is what the server of all stories does.
func (s *stage) script(srv *sio.Server) {
	srv.OfRegexp(regexp.MustCompile(`^/team-\d+$`))
	admin := srv.Of("/admin")
	admin.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var login struct{ Token string }
		if err := c.Bind(&login); err != nil {
			return err
		}
		if login.Token != "123" {
			return &sio.Error{Message: "not authorized", Data: map[string]string{"code": "E001"}}
		}
		return nil
	}))
	srv.Of("/greeting").OnConnect(func(c *sio.Ctx) error { return c.Emit("hello", c.ID()) })
	for _, n := range []*sio.Namespace{srv.Namespace, admin} {
		n.OnDisconnect(func(_ *sio.Socket, r sio.Reason) { s.leaves(n, r) })
		n.On("echo", withArgs(func(c *sio.Ctx, args []any) error { return c.Emit("echo", args...) }))
		n.On("ack", withArgs(func(c *sio.Ctx, args []any) error { return c.Ack(args...) }))
		n.On("fail", func(*sio.Ctx) error { return &sio.Error{Message: "sold out", Data: []int{1, 2}} })
		n.On("crash", func(*sio.Ctx) error { panic("nobody's business") })
		n.On("typed", sio.Reply(func(_ *sio.Ctx, n int) (int, error) { return n + 1, nil }))
		n.On("ask me", askBack)
		n.On("join", sio.Bind(func(c *sio.Ctx, room string) error { return c.Join(room) }))
		n.On("tell room", sio.Bind(func(c *sio.Ctx, room string) error { return c.To(room).Emit("told", room) }))
		n.On("tell all", func(c *sio.Ctx) error { return c.Namespace().Emit("told", []byte("all")) })
		n.On("kick me", func(c *sio.Ctx) error { return errors.Join(c.Emit("goodbye"), c.Disconnect()) })
		n.On("close me", func(c *sio.Ctx) error { return c.Close() })
	}
}

// withArgs makes a handler of a function that takes all arguments there are.
func withArgs(f func(c *sio.Ctx, args []any) error) sio.Handler {
	return func(c *sio.Ctx) error {
		args, dst := make([]any, c.Len()), make([]any, c.Len())
		for i := range args {
			dst[i] = &args[i]
		}
		if err := c.Bind(dst...); err != nil {
			return err
		}
		return f(c, args)
	}
}

// askBack asks the client for a number, and tells it what it heard.
func askBack(c *sio.Ctx) error {
	ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
	defer cancel()
	n, err := sio.EmitWithAck[int](ctx, c.Socket, "how many?")
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return c.Emit("you did not answer")
	case err != nil:
		return err
	default:
		return c.Emit("you said", n)
	}
}

func (s *stage) leaves(n *sio.Namespace, r sio.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reasons = append(s.reasons, fmt.Sprintf("(%s: %s)", n.Name(), r))
}

// actor returns the client of that number, "" being the first.
func (s *stage) actor(t *testing.T, number string) *actor {
	t.Helper()
	i := slices.IndexFunc(s.actors, func(a *actor) bool { return a.number == number })
	if i < 0 {
		i = len(s.actors)
		s.actors = append(s.actors, newActor(t, s.dialer, number))
	}
	return s.actors[i]
}

// heard returns what has come from the server, one section for each client that
// got something.
func (s *stage) heard() (sections []txtar.File) {
	s.mu.Lock()
	reasons := slices.Sorted(slices.Values(s.reasons))
	s.reasons = nil
	s.mu.Unlock()
	for i, a := range s.actors {
		said := a.take()
		if i == 0 {
			said = append(said, reasons...)
		}
		if len(said) > 0 {
			name := strings.TrimSpace("server " + a.number)
			sections = append(sections, txtar.File{Name: name, Data: []byte(s.anonymous(strings.Join(said, "\n") + "\n"))})
		}
	}
	return sections
}

var sid = regexp.MustCompile(`"sid":"([\w-]{20})"`)

// anonymous puts names in the place of ids.
func (s *stage) anonymous(text string) string {
	for _, m := range sid.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(s.ids, m[1]) {
			s.ids = append(s.ids, m[1])
		}
	}
	for i, id := range s.ids {
		text = strings.ReplaceAll(text, id, fmt.Sprintf("<id %d>", i+1))
	}
	return text
}

// An actor is a client of a story: a WebSocket with nothing around it.
type actor struct {
	number string
	conn   net.Conn

	mu    sync.Mutex
	heard []string
}

func newActor(t *testing.T, d siotest.Dialer, number string) *actor {
	t.Helper()
	url := strings.Replace(d.Endpoint("EIO", "4", "transport", "websocket"), "http:", "ws:", 1)
	conn, ahead, _, err := ws.Dialer{NetDial: d.Dial}.Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if ahead == nil {
		ahead = bufio.NewReader(conn)
	}
	if hello, err := ws.ReadFrame(ahead); err != nil || !bytes.HasPrefix(hello.Payload, []byte("0{")) {
		t.Fatalf("open packet: %q, %v", hello.Payload, err)
	}
	a := &actor{number: number, conn: conn}
	t.Cleanup(func() { _ = conn.Close() })
	go a.listen(ahead) // ends with the connection
	return a
}

func (a *actor) listen(r *bufio.Reader) {
	for {
		f, err := ws.ReadFrame(r)
		switch {
		case err != nil:
			return // it has been said why, or it was the client
		case f.Header.OpCode == ws.OpText:
			a.hear(string(f.Payload))
		case f.Header.OpCode == ws.OpBinary:
			a.hear("b" + base64.StdEncoding.EncodeToString(f.Payload))
		case f.Header.OpCode == ws.OpClose:
			a.hear("(close" + closeData(f.Payload) + ")")
			_ = a.conn.Close()
			return
		}
	}
}

// closeData returns what a close frame says: nothing, mostly.
func closeData(payload []byte) string {
	if len(payload) == 0 {
		return ""
	}
	code, reason := ws.ParseCloseFrameData(payload)
	return fmt.Sprintf(" %d %s", code, reason)
}

func (a *actor) hear(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard = append(a.heard, what)
}

func (a *actor) take() (said []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	said, a.heard = a.heard, nil
	return said
}

// act sends frames, all of them in one write.
func (a *actor) act(t *testing.T, frames []string) {
	t.Helper()
	var buf bytes.Buffer
	for _, text := range frames {
		f := ws.NewTextFrame([]byte(text))
		switch data, binary := strings.CutPrefix(text, "b"); {
		case text == "(abort)":
			must(t, a.conn.Close())
			return
		case binary:
			raw, err := base64.StdEncoding.DecodeString(data)
			must(t, err)
			f = ws.NewBinaryFrame(raw)
		}
		must(t, ws.WriteFrame(&buf, ws.MaskFrameInPlace(f)))
	}
	if _, err := a.conn.Write(buf.Bytes()); err != nil {
		t.Fatalf("sending %q: %v", frames, err)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Error(err)
	}
}

func shutdown(tb testing.TB, srv *sio.Server) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	must(tb, srv.Shutdown(ctx))
}
