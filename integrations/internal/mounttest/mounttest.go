// Package mounttest has the tests that all mounts have in common. An integration
// describes its framework, and calls the tests.
package mounttest

import (
	"net/http"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A Framework is what an integration has for its tests.
type Framework struct {
	// Serve runs an application until the test ends, and returns how to reach it at the
	// path "/socket.io/". The application answers GET /other with "other".
	Serve func(t *testing.T, srv *sio.Server, app App) siotest.Dialer

	// Start runs an application that has mounted srv, by the framework's own server.
	Start func(t *testing.T, srv *sio.Server) *Running

	// Request returns what a handler finds of the request.
	Request func(s *sio.Socket) Request

	// Route and Path are those of Request for a server that is mounted in the group
	// "/t/:tenant".
	Route, Path string

	// Hidden returns what handlers must not find: a parameter of the mount's own route,
	// parameters and cookies that are not there. All of it is empty.
	Hidden func(s *sio.Socket) []string

	// TLS reports whether a handler finds the state of TLS.
	TLS func(s *sio.Socket) bool

	// Unknown reports whether a handler finds nothing of the request, because the
	// socket came by another mount.
	Unknown func(s *sio.Socket) bool

	// HTTPRequest returns the request as a handler finds it. It is nil if the framework
	// is not based on net/http.
	HTTPRequest func(s *sio.Socket) *http.Request

	// NotFound begins the answer for a path that has no route: the status, and the body.
	NotFound string

	// Variants are other settings of the framework that mounts work with, by name: see
	// App.Config.
	Variants map[string]any
}

// An App says how to build an application.
type App struct {
	// Group is the prefix of the group that the server is mounted in. It may have the
	// parameter ":tenant". If it is empty and SignIn is false, there is no group.
	Group string

	// Path is where the server's Handler is routed, for all methods. If it is empty,
	// the server is mounted.
	Path string

	// SignIn says that there is middleware before the server. It keeps the header X-User
	// among the framework's values as "user", refuses "mallory" with 401, and sets the
	// header X-Signed-In of the answer to the user.
	SignIn bool

	// Proxy says that the application trusts a proxy on this machine. Otherwise it
	// trusts none.
	Proxy bool

	// TLS says that the application serves TLS.
	TLS bool

	// Config has settings of the framework's own; it may be nil.
	Config any
}

// Request is what a handler finds of the request that opened the connection.
type Request struct {
	User, Tenant, Cookie, Header, Query, Address string

	Route, Path string // if the framework tells
}

// serve mounts a new server and returns how to reach it.
func (f Framework) serve(t *testing.T, opts *sio.Options, app App, register func(srv *sio.Server)) (*sio.Server, siotest.Dialer) {
	t.Helper()
	return f.mount(app).Serve(t, opts, register)
}

// mount returns a mount in an application.
func (f Framework) mount(app App) siotest.Mount {
	return func(t *testing.T, srv *sio.Server) siotest.Dialer {
		t.Helper()
		path := app.Group + "/socket.io/"
		if app.Path != "" {
			path = app.Path
		}
		return f.Serve(t, srv, app).At(strings.ReplaceAll(path, ":tenant", "acme"))
	}
}

// tenants is a group with a parameter and middleware.
const tenants = "/t/:tenant"

// Mounts runs the suite of siotest for each way to mount a server.
func (f Framework) Mounts(t *testing.T) {
	t.Helper()
	values := siotest.Values(func(s *sio.Socket) (tenant, user string) {
		r := f.Request(s)
		return r.Tenant, r.User
	})
	run := func(name string, app App, opts ...siotest.Option) {
		t.Run(name, func(t *testing.T) { siotest.Run(t, f.mount(app), opts...) })
	}
	run("app", App{})
	run("group", App{Group: tenants, SignIn: true}, values)
	run("own path", App{Path: tenants + "/live/", SignIn: true}, values)
	run("behind a proxy", App{Proxy: true}, siotest.Proxied())
	run("TLS", App{Group: tenants, SignIn: true, TLS: true}, values)
	for name, config := range f.Variants {
		run(name, App{Group: tenants, SignIn: true, Config: config}, values)
	}
}

// InGroup mounts a server in the group "/t/:tenant", behind middleware that signs users
// in, and returns how to reach it there.
func (f Framework) InGroup(t *testing.T, srv *sio.Server) siotest.Dialer {
	t.Helper()
	return f.mount(App{Group: tenants, SignIn: true})(t, srv)
}
