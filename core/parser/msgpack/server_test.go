package msgpack_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/parser/msgpack"
	"github.com/sioplug/sioplug/core/siotest"
)

// A client is one that speaks MessagePack.
type client struct{ *siotest.Client }

func (c client) send(tb testing.TB, p *parser.Packet) {
	tb.Helper()
	c.Send("b" + base64.StdEncoding.EncodeToString(encode(tb, p)))
}

// next reads a packet. Random ids are written as "*".
func (c client) next(tb testing.TB) string {
	tb.Helper()
	data, ok := strings.CutPrefix(c.Next(), "b")
	p, err := base64.StdEncoding.DecodeString(data)
	if !ok || err != nil {
		tb.Fatalf("not a binary message: %s", data)
	}
	k, err := decode(p)
	if err != nil {
		tb.Fatal(err)
	}
	return regexp.MustCompile(`"[\w-]{20}"`).ReplaceAllString(describe(k), `"*"`)
}

func TestECO_MP_11_AServerSpeaksMessagePack(t *testing.T) {
	for name, open := range map[string]func(testing.TB, siotest.Dialer) *siotest.Client{
		"polling":   func(tb testing.TB, d siotest.Dialer) *siotest.Client { tb.Helper(); return d.Polling(tb) },
		"websocket": func(tb testing.TB, d siotest.Dialer) *siotest.Client { tb.Helper(); return d.WebSocket(tb) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, d := newServer(t)
				srv.Of("/files").On("file", sio.Reply(func(c *sio.Ctx, f file) (file, error) {
					f.Name = strings.ToUpper(f.Name)
					return f, c.Broadcast().Emit("file", f)
				}))
				c, other := client{open(t, d)}, client{open(t, d)}
				for _, c := range []client{c, other} {
					c.send(t, &parser.Packet{Type: parser.Connect, Namespace: "/files", Data: []byte(`{"token":"abc"}`)})
					mustBe(t, c.next(t), `0 /files {"sid":"*"}`)
				}
				c.send(t, &parser.Packet{
					Type: parser.Event, Namespace: "/files", ID: 7, HasID: true,
					Data: []byte(`["file",{"name":"a","data":{"_placeholder":true,"num":0}}]`), Attachments: [][]byte{{1, 2}},
				})
				mustBe(t, other.next(t), `2 /files ["file",{"name":"A","data":{"_placeholder":true,"num":0}}] 0102`)
				mustBe(t, c.next(t), `3 /files id=7 [{"name":"A","data":{"_placeholder":true,"num":0}}] 0102`)
				c.send(t, &parser.Packet{Type: parser.Connect, Namespace: "/nowhere"})
				mustBe(t, c.next(t), `4 /nowhere {"message":"Invalid namespace"}`)
				c.send(t, &parser.Packet{Type: parser.Disconnect, Namespace: "/files"})
				c.Send("bwQ==") // 0xc1, which MessagePack has no use for (SIO-BAD-1)
				c.UntilClosed()
			})
		})
	}
}

type file struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

func mustBe(tb testing.TB, got, want string) {
	tb.Helper()
	if got != want {
		tb.Fatalf("got %s, want %s", got, want)
	}
}

func newServer(t *testing.T) (*sio.Server, siotest.Dialer) {
	t.Helper()
	srv := sio.New(&sio.Options{Parser: msgpack.Parser{}, Logger: slog.New(slog.DiscardHandler)})
	d := siotest.Pipes(t, srv)
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return srv, d
}

func TestECO_MP_9_ServersCheckNamesOfEvents(t *testing.T) {
	for _, data := range []string{`["disconnect"]`, `[]`, `[null]`, `[{}]`} {
		synctest.Test(t, func(t *testing.T) {
			srv, d := newServer(t)
			srv.OnUnknown(func(c *sio.Ctx) error {
				t.Errorf("%s is an event called %q", data, c.Event())
				return nil
			})
			c := client{d.WebSocket(t)}
			c.send(t, &parser.Packet{Type: parser.Connect, Namespace: "/"})
			c.next(t)
			c.send(t, &parser.Packet{Type: parser.Event, Namespace: "/", Data: []byte(data)})
			c.UntilClosed()
		})
	}
}
