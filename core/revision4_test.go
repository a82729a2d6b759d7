package sio_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// oldClients is a bubble whose clients are of revision 3 of Engine.IO. Over
// WebSocket those of package siotest only have to say so.
func oldClients(t *testing.T, opts sio.Options, f func(t *testing.T, srv *sio.Server, d siotest.Dialer)) {
	t.Helper()
	opts.AllowEIO3 = true
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &opts)
		d := siotest.Pipes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "EIO=4", "EIO=3", 1)
			srv.ServeHTTP(w, r)
		}))
		t.Cleanup(func() { shutdown(t, srv) })
		f(t, srv, d)
	})
}

// oldFetch makes a request of a polling client and returns the answer's body.
func oldFetch(t *testing.T, d siotest.Dialer, body string, params ...string) string {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	params = append([]string{"EIO", "3", "transport", "polling"}, params...)
	r, err := http.NewRequestWithContext(t.Context(), method, d.Endpoint(params...), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := d.HTTP(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestSIO_V2_1_ConnectedToTheRootUnasked(t *testing.T) {
	oldClients(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		echo(srv.Namespace)
		srv.OnConnect(func(c *sio.Ctx) error { return c.Emit("hello") })
		c := d.WebSocket(t)
		c.Want("40", `42["hello"]`)
		mustEcho(t, c)
	})
}

func TestSIO_V2_1_Polling(t *testing.T) {
	oldClients(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		echo(srv.Namespace)
		_, sid, _ := strings.Cut(oldFetch(t, d, ""), `"sid":"`)
		sid, _, _ = strings.Cut(sid, `"`)
		steps := []struct{ post, want string }{
			{"", "2:40"},
			{`14:42["echo","€"]`, "ok"},
			{"", `14:42["echo","€"]`},
			{"1:2", "ok"},
			{"", "1:3"},
		}
		for _, s := range steps {
			if got := oldFetch(t, d, s.post, "sid", sid); got != s.want {
				t.Errorf("%q: got %q, want %q", s.post, got, s.want)
			}
		}
	})
}

func TestSIO_V2_1_AskingForTheRootAgainBreaksTheProtocol(t *testing.T) {
	oldClients(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		why := reasons(srv.Namespace)
		c := d.WebSocket(t)
		c.Want("40")
		c.Send("40")
		c.UntilClosed()
		mustReason(t, why, sio.ReasonForcedClose)
	})
}

func TestSIO_V2_2_IDs(t *testing.T) {
	oldClients(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		for _, ns := range []*sio.Namespace{srv.Namespace, srv.Of("/chat")} {
			ns.OnConnect(func(c *sio.Ctx) error {
				s.add("%s", c.ID())
				return ns.To(c.ID()).Emit("yours")
			})
		}
		c := d.WebSocket(t)
		c.Want("40", `42["yours"]`)
		c.Send("40/chat,")
		c.Want("40/chat,", `42/chat,["yours"]`)
		s.want(t, c.SID(), "/chat#"+c.SID())
	})
}

func TestSIO_V2_2_ComingBackUnderTheSameID(t *testing.T) {
	oldClients(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		chat := srv.Of("/chat")
		echo(chat)
		why := reasons(chat)
		c := d.WebSocket(t)
		c.Want("40")
		for range 3 {
			c.Send("40/chat,")
			c.Want("40/chat,")
			must(t, chat.To("/chat#"+c.SID()).Emit("yours"))
			c.Want(`42/chat,["yours"]`)
			c.Send("41/chat,")
			mustReason(t, why, sio.ReasonClientNamespaceDisconnect)
		}
	})
}

func TestSIO_V2_3_QueryOfTheNamespaceIsTheAuthPayload(t *testing.T) {
	for query, want := range map[string]string{
		"":                   ``,
		"?":                  `{}`,
		"?token=abc":         `{"token":"abc"}`,
		"?b=%20%26&a=1&c":    `{"a":"1","b":" \u0026","c":""}`,
		"?a=1&a=2":           `{"a":["1","2"]}`,
		"?a=1&b=%zz":         `{"a":"1","b":"%zz"}`,
		"?%22}=%22":          `{"\"}":"\""}`,
		"?a=%ff":             `{"a":"�"}`,
		"?where=/chat?x=1#y": `{"where":"/chat?x=1"}`,
	} {
		t.Run(query, func(t *testing.T) {
			oldClients(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				var s story
				chat := srv.Of("/chat")
				echo(chat)
				chat.OnConnect(func(c *sio.Ctx) error {
					s.add("%s", c.Handshake().Auth)
					return nil
				})
				c := d.WebSocket(t)
				c.Want("40")
				c.Send("40/chat" + query + ",")
				c.Want("40/chat,")
				c.Send(`42/chat,["echo",1]`, `42/chat?x=1,["echo",2]`)
				c.Want(`42/chat,["echo",1]`, `42/chat,["echo",2]`)
				s.want(t, want)
			})
		})
	}
}

// As in revision 5 without a payload.
func TestSIO_V2_3_TheRootHasNoAuthPayload(t *testing.T) {
	oldClients(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		var s story
		srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
			var auth map[string]any
			err := c.Bind(&auth)
			s.add("%v %v", auth, err)
			return err
		}))
		d.WebSocket(t).Want("40")
		s.want(t, "map[] <nil>")
	})
}

func TestSIO_NS_3_QueryIsPartOfTheNameInRevision5(t *testing.T) {
	bubble(t, &sio.Options{AllowEIO3: true}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.Of("/chat")
		c := d.WebSocket(t)
		c.Send("40/chat?token=abc,")
		c.Want(`44/chat?token=abc,{"message":"Invalid namespace"}`)
	})
}

func TestSIO_V2_4_Refusals(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"message":        {&sio.Error{Message: "no"}, `44"no"`},
		"data":           {&sio.Error{Message: "no", Data: map[string]int{"code": 1}}, `44{"code":1}`},
		"text as data":   {&sio.Error{Message: "no", Data: "why"}, `44"why"`},
		"escapes":        {&sio.Error{Message: "say \"no\"\n"}, `44"say \"no\"\n"`},
		"internal error": {errors.New(secret), `44"internal error"`},
	} {
		t.Run(name, func(t *testing.T) {
			l := new(logbook)
			oldClients(t, sio.Options{Logger: slog.New(l)}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.UseConnect(sio.Guard(func(*sio.Ctx) error { return tt.err }))
				d.WebSocket(t).Want(tt.want)
			})
		})
	}
}

func TestSIO_V2_4_UnknownNamespace(t *testing.T) {
	oldClients(t, sio.Options{}, func(t *testing.T, _ *sio.Server, d siotest.Dialer) {
		c := d.WebSocket(t)
		c.Want("40")
		c.Send("40/nope?token=abc,")
		c.Want(`44/nope,{"message":"Invalid namespace"}`)
	})
}

func TestSIO_V2_5_RefusedByDefault(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		if got, want := oldFetch(t, d, ""), `{"code":5,"message":"Unsupported protocol version"}`; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := srv.ClientsCount(); n != 0 {
			t.Errorf("%d clients", n)
		}
	})
}

func TestSIO_V2_6_RefusalAtTheRootLeavesTheConnection(t *testing.T) {
	oldClients(t, sio.Options{ConnectTimeout: 10 * time.Second}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.UseConnect(sio.Guard(func(*sio.Ctx) error { return &sio.Error{Message: "no"} }))
		chat := srv.Of("/chat")
		echo(chat)
		c := d.WebSocket(t)
		c.Want(`44"no"`)
		c.Send("40") // asking again is allowed
		c.Want(`44"no"`)
		c.Send("40/chat,")
		c.Want("40/chat,")
		c.Send("2")
		c.Want("3")
		time.Sleep(20 * time.Second)
		c.Send(`42/chat,["echo",1]`)
		c.Want(`42/chat,["echo",1]`)
	})
}

func TestSIO_V2_6_AcksBinaryAndRooms(t *testing.T) {
	oldClients(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("ack", sio.Reply(func(_ *sio.Ctx, b []byte) ([]byte, error) { return append(b, '!'), nil }))
		srv.On("join", func(c *sio.Ctx) error { return errors.Join(c.Join("room"), c.Ack()) })
		a, b := d.WebSocket(t), d.WebSocket(t)
		for _, c := range []*siotest.Client{a, b} {
			c.Want("40")
		}
		a.Send(`451-7["ack",{"_placeholder":true,"num":0}]`, "bBGhp") // 4, "hi"
		a.Want(`461-7[{"_placeholder":true,"num":0}]`, "bBGhpIQ==")   // 4, "hi!"
		a.Send(`420["join"]`)
		a.Want(`430[]`)
		must(t, srv.To("room").Emit("news", []byte("x")))
		must(t, srv.Except("room").Emit("other"))
		a.Want(`451-["news",{"_placeholder":true,"num":0}]`, "bBHg=") // 4, "x"
		b.Want(`42["other"]`)
	})
}

func TestSIO_V2_6_GoneWhileTheChainRuns(t *testing.T) {
	oldClients(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		entered, leave := make(chan bool), make(chan bool)
		srv.UseConnect(sio.Guard(func(*sio.Ctx) error {
			entered <- true
			<-leave
			return nil
		}))
		srv.OnConnect(func(*sio.Ctx) error {
			t.Error("connected")
			return nil
		})
		c := d.WebSocket(t)
		<-entered
		c.Abort()
		synctest.Wait()
		close(leave)
	})
}

// Half an emoji, as cutting a string in JavaScript makes it, came back as a raw U+FFFD, and
// clients of Socket.IO 1 on polling ended the connection. An escape is fine for all.
func TestEIO_V3_19_HalfASurrogatePairComesBackAsAnEscape(t *testing.T) {
	oldClients(t, sio.Options{}, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		srv.On("echo", func(c *sio.Ctx) error {
			var v any
			if err := c.Bind(&v); err != nil {
				return err
			}
			if err := c.Emit("echo", v); err != nil {
				return err
			}
			if err := srv.Emit("all", v, []byte("\xff")); err != nil {
				return err
			}
			return c.Ack("\xff")
		})
		_, sid, _ := strings.Cut(oldFetch(t, d, ""), `"sid":"`)
		sid, _, _ = strings.Cut(sid, `"`)
		young := d.WebSocket(t)
		young.Want("40")
		for _, s := range []struct{ post, want string }{
			{"", "2:40"},
			{`22:420["echo","\ud83d x"]`, "ok"},
			{"", ""},
		} {
			got := oldFetch(t, d, s.post, "sid", sid)
			synctest.Wait() // so that the next poll gets all that is to be sent
			if s.post != "" || strings.HasPrefix(s.want, "2:") {
				if got != s.want {
					t.Fatalf("%q: got %q, want %q", s.post, got, s.want)
				}
				continue
			}
			for _, part := range []string{`["echo","\ufffd x"]`, `["all","\ufffd x",`, `430["\ufffd"]`} {
				if !strings.Contains(got, part) || strings.Contains(got, "\ufffd") {
					t.Errorf("got %q, want %s", got, part)
				}
			}
		}
		young.Want(`451-["all","\ufffd x",{"_placeholder":true,"num":0}]`)
	})
}
