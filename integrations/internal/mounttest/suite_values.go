package mounttest

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// Values tests that all handlers of a socket find what the request had.
func (f Framework) Values(t *testing.T) {
	t.Helper()
	want := Request{
		User: "ann", Tenant: "acme", Cookie: "abc", Header: "yes", Query: "7", Address: "127.0.0.1",
		Route: f.Route, Path: f.Path,
	}
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		disconnected := make(chan Request, 1)
		_, d := f.serve(t, nil, App{Group: tenants, SignIn: true}, func(srv *sio.Server) {
			check := func(where string, s *sio.Socket) {
				if got := f.Request(s); got != want {
					t.Errorf("%s: got %+v, want %+v", where, got, want)
				}
			}
			srv.UseConnect(sio.Guard(func(c *sio.Ctx) error { check("connecting", c.Socket); return nil }))
			srv.On("event", func(c *sio.Ctx) error {
				check("event", c.Socket)
				runtime.GC() // a context that is made on demand is made again
				check("later", c.Socket)
				return c.Ack(c.Handshake().Address, strings.Join(f.Hidden(c.Socket), ""))
			})
			srv.OnDisconnect(func(s *sio.Socket, _ sio.Reason) { disconnected <- f.Request(s) })
		})
		d.URL = d.Endpoint("room", "7")
		d.Header = http.Header{"X-User": {"ann"}, "X-Test": {"yes"}, "Cookie": {"first=1; session=abc"}}
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431["127.0.0.1",""]`)
		c.Close()
		if got := <-disconnected; got != want {
			t.Errorf("disconnecting: got %+v, want %+v", got, want)
		}
	})
}

// NothingOfTheConnection tests that the request of a handler has no body, no parameter
// of the mount, and a context that does not end.
func (f Framework) NothingOfTheConnection(t *testing.T) {
	t.Helper()
	_, d := f.serve(t, nil, App{}, func(srv *sio.Server) {
		srv.On("event", func(c *sio.Ctx) error {
			r := f.HTTPRequest(c.Socket)
			body, err := io.ReadAll(r.Body)
			if len(body) > 0 || err != nil {
				t.Errorf("body %q, %v", body, err)
			}
			if err := r.Context().Err(); err != nil {
				t.Errorf("the request's context: %v", err)
			}
			return c.Ack(strings.Join(f.Hidden(c.Socket), ""))
		})
	})
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["event"]`)
		c.Want(`431[""]`)
	})
}

// ManyAtOnce tests that sockets of one client may read the values at the same time. They
// share them, and frameworks parse a query when they are asked for it.
func (f Framework) ManyAtOnce(t *testing.T) {
	t.Helper()
	const namespaces = 5
	want := Request{User: "ann", Header: "yes", Query: "7", Address: "127.0.0.1"}
	var all sync.WaitGroup
	all.Add(namespaces)
	_, d := f.serve(t, nil, App{SignIn: true}, func(srv *sio.Server) {
		for i := range namespaces {
			srv.Of(fmt.Sprint("/", i)).OnConnect(func(c *sio.Ctx) error {
				all.Done()
				all.Wait()
				got := f.Request(c.Socket)
				got.Route, got.Path = "", ""
				return c.Emit("same", got == want)
			})
		}
	})
	d.URL = d.Endpoint("room", "7")
	d.Header = http.Header{"X-User": {"ann"}, "X-Test": {"yes"}}
	c := d.WebSocket(t)
	packets := make([]string, namespaces)
	for i := range packets {
		packets[i] = fmt.Sprintf("40/%d,", i)
	}
	c.Send(packets...)
	for range namespaces {
		got := c.Next()
		for strings.HasPrefix(got, "40") { // the answer to a CONNECT
			got = c.Next()
		}
		if _, event, _ := strings.Cut(got, ","); event != `["same",true]` {
			t.Errorf("got %s", got)
		}
	}
}

// TLSState tests that handlers find the state of TLS, with a client's certificate for
// example.
func (f Framework) TLSState(t *testing.T) {
	t.Helper()
	_, d := f.serve(t, nil, App{TLS: true}, func(srv *sio.Server) {
		srv.On("tls", func(c *sio.Ctx) error { return c.Ack(c.Handshake().Secure, f.TLS(c.Socket)) })
	})
	siotest.Transports(t, func(t *testing.T, open siotest.Opener) {
		c := open(t, d)
		c.Connect("/", "")
		c.Send(`421["tls"]`)
		c.Want(`431[true,true]`)
	})
}

// OtherMount tests that handlers find nothing of a request that came by another mount.
func (f Framework) OtherMount(t *testing.T) {
	t.Helper()
	srv := sio.New(nil)
	srv.On("event", func(c *sio.Ctx) error { return c.Ack(f.Unknown(c.Socket)) })
	d := siotest.Loopback(t, srv)
	d.Header = http.Header{"Cookie": {"session=abc"}}
	c := d.WebSocket(t)
	c.Connect("/", "")
	c.Send(`421["event"]`)
	c.Want("431[true]")
}
