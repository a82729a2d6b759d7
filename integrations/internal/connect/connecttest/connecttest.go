// Package connecttest tests how the integrations run their frameworks'
// middleware when a client connects to a namespace.
package connecttest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/integrations/internal/mounttest"
)

// A Framework is what an integration has for its test.
type Framework struct {
	// Mount serves at a URL with the parameter "tenant", which is "acme", and
	// keeps the header X-User among the framework's values, as "user".
	Mount siotest.Mount

	// Connect runs middleware that does what the header X-Role says:
	//
	//   - "admin": it keeps "acme ann admin", of tenant, user and role, as "role".
	//   - "json": it answers 401 with {"error":"sign in"}.
	//   - "text": it answers 402 with the text "pay".
	//   - "silent": it neither answers nor goes on.
	//   - "broken": it answers 503, or returns an error that becomes 500.
	//   - "panic": it panics with "on purpose".
	Connect sio.Middleware

	// Role returns the value "role" of a socket, "" if there is none.
	Role func(s *sio.Socket) string

	// Name is that of the integration.
	Name string
}

// Run tests an integration.
func Run(t *testing.T, f Framework) {
	t.Helper()
	t.Run("values", func(t *testing.T) { siotest.Transports(t, f.values) })
	t.Run("refusals", func(t *testing.T) { siotest.Transports(t, f.refusals) })
	t.Run("failures", f.failures)
	t.Run("other mount", f.otherMount)
	t.Run("many", f.many)
}

func (f Framework) register(srv *sio.Server) {
	role := func(c *sio.Ctx) error { return c.Ack(f.Role(c.Socket)) }
	srv.On("role", role)
	admin := srv.Of("/admin")
	admin.UseConnect(f.Connect)
	admin.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		if f.Role(c.Socket) == "" {
			return &sio.Error{Message: "no role"}
		}
		return nil
	}))
	admin.On("role", role)
}

func as(d siotest.Dialer, user, role string) siotest.Dialer {
	d.Header = http.Header{"X-User": {user}, "X-Role": {role}}
	return d
}

// values tests that middleware sees the request and what others left there, that
// what it leaves is there in its namespace, and only there.
func (f Framework) values(t *testing.T, open siotest.Opener) {
	_, d := f.Mount.Serve(t, nil, f.register)
	c := open(t, as(d, "ann", "admin"))
	c.Connect("/", "")
	c.Connect("/admin", "")
	c.Send(`42/admin,1["role"]`)
	c.Want(`43/admin,1["acme ann admin"]`)
	c.Send(`421["role"]`)
	c.Want(`431[""]`)
}

func (f Framework) refusals(t *testing.T, open siotest.Opener) {
	_, d := f.Mount.Serve(t, nil, f.register)
	for role, want := range map[string]string{
		"json":   `{"message":"Unauthorized","data":{"status":401,"body":{"error":"sign in"}}}`,
		"text":   `{"message":"Payment Required","data":{"status":402,"body":"pay"}}`,
		"silent": `{"message":"Forbidden","data":{"status":403}}`,
	} {
		t.Run(role, func(t *testing.T) {
			c := open(t, as(d, "ann", role))
			for range 2 { // it may ask again
				c.Send("40/admin,")
				c.Want("44/admin," + want)
			}
			c.Connect("/", "") // and elsewhere it may be
		})
	}
}

// failures tests that what went wrong is for the log.
func (f Framework) failures(t *testing.T) {
	for role, want := range map[string]string{"broken": "50", "panic": "on purpose"} {
		t.Run(role, func(t *testing.T) {
			var log mounttest.Log
			_, d := f.Mount.Serve(t, &sio.Options{Logger: log.Logger()}, f.register)
			c := as(d, "ann", role).WebSocket(t)
			c.Send("40/admin,")
			c.Want(`44/admin,{"message":"internal error"}`)
			if got := log.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, want) {
				t.Errorf("log: %s", got)
			}
		})
	}
}

func (f Framework) otherMount(t *testing.T) {
	var log mounttest.Log
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer { return siotest.Loopback(t, srv) })
	_, d := mount.Serve(t, &sio.Options{Logger: log.Logger()}, f.register)
	c := as(d, "ann", "admin").WebSocket(t)
	c.Send("40/admin,")
	c.Want(`44/admin,{"message":"internal error"}`)
	if got := log.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, f.Name+" has mounted") {
		t.Errorf("log: %s", got)
	}
}

// many tests that clients who connect at the same time are not mixed up.
func (f Framework) many(t *testing.T) {
	const clients, rounds = 10, 10
	_, d := f.Mount.Serve(t, nil, func(srv *sio.Server) {
		for i := range rounds {
			ns := srv.Of(fmt.Sprint("/", i))
			ns.UseConnect(f.Connect)
			ns.OnConnect(func(c *sio.Ctx) error { return c.Emit("role", f.Role(c.Socket)) })
		}
	})
	var packets []string
	for i := range rounds {
		packets = append(packets, fmt.Sprintf("40/%d,", i))
	}
	all := make([]*siotest.Client, clients)
	for i := range all {
		all[i] = as(d, fmt.Sprint("user", i), "admin").WebSocket(t)
	}
	for _, c := range all {
		c.Send(packets...)
	}
	for i, c := range all {
		want := fmt.Sprintf(`["role","acme user%d admin"]`, i)
		for range rounds {
			got := c.Next()
			for strings.HasPrefix(got, "40") { // the answer to a CONNECT
				got = c.Next()
			}
			if _, event, _ := strings.Cut(got, ","); event != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
}
