package msgpack_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
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

// The parser for JavaScript has no placeholders: eleven binary values, and an object that
// looks like a placeholder, are what they are, both ways. They closed the connection, or
// were replaced.
func TestPlaceholdersAreValuesLikeOthersAndBinaryValuesAreNotCounted(t *testing.T) {
	for _, n := range []int{1, 11, 1000} {
		synctest.Test(t, func(t *testing.T) {
			srv, d := newServer(t)
			srv.On("e", func(c *sio.Ctx) error {
				var m map[string]any
				var v any
				var raw json.RawMessage
				var list [][]byte
				var s struct {
					Is  bool `json:"_placeholder"`
					Num int
					Bin []byte
				}
				if err := c.Bind(&m, &v, &raw, &list, &s); err != nil {
					return err
				}
				if m["num"] != 0.0 || m["_placeholder"] != true || !s.Is || s.Num != 7 || len(s.Bin) != 1 {
					t.Errorf("got %v and %v", m, s)
				}
				if err := srv.Emit("back", m, v, raw, list, s); err != nil {
					return err
				}
				return c.Ack(m, v, raw, list, s)
			})
			c := client{d.WebSocket(t)}
			c.send(t, &parser.Packet{Type: parser.Connect, Namespace: "/"})
			c.next(t)
			const hidden = `{"\u005fplaceholder":true,"num":0}`
			values := hidden + `,[` + hidden + `,{"_placeholder":true,"num":0}],` + hidden + `,[`
			attachments := [][]byte{{99}}
			for i := range n {
				values += fmt.Sprintf(`{"_placeholder":true,"num":%d},`, i+1)
				attachments = append(attachments, []byte{byte(i)})
			}
			values = strings.TrimSuffix(values, ",") + `],{"\u005fplaceholder":true,"Num":7,"Bin":{"_placeholder":true,"num":` + strconv.Itoa(n+1) + `}}`
			attachments = append(attachments, []byte{7})
			out := &parser.Packet{
				Type: parser.Event, Namespace: "/", ID: 1, HasID: true, Data: []byte(`["e",` + values + `]`), Attachments: attachments,
			}
			c.send(t, out)
			mustBe(t, c.next(t), strings.Replace(strings.Replace(describe(out), `"e"`, `"back"`, 1), "id=1 ", "", 1))
			mustBe(t, c.next(t), strings.Replace(strings.Replace(describe(out), `"e",`, ``, 1), "2 /", "3 /", 1))
		})
	}
}

// Binary data in the payload of a CONNECT is what encoding/json makes of it.
func TestBinaryAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, d := newServer(t)
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			var auth struct{ Token []byte }
			if err := c.Bind(&auth); err != nil || string(auth.Token) != "abc" {
				t.Errorf("token %q, error %v", auth.Token, err)
			}
			return nil
		}))
		c := client{d.WebSocket(t)}
		c.send(t, &parser.Packet{
			Type: parser.Connect, Namespace: "/", Data: []byte(`{"token":{"_placeholder":true,"num":0}}`), Attachments: [][]byte{[]byte("abc")},
		})
		mustBe(t, c.next(t), `0 / {"sid":"*"}`)
	})
}
