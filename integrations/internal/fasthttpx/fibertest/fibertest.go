// Package fibertest has the tests that the mounts into all versions of Fiber have in
// common, beside those of package mounttest.
package fibertest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/integrations/internal/mounttest"
)

// A Framework is what an integration has for its tests. C is Fiber's context.
type Framework[C any] struct {
	mounttest.Framework

	// Name is that of the integration's package.
	Name string

	// Ways are those to mount a server. Each may panic.
	Ways map[string]func(srv *sio.Server)

	// Listen runs an application that has mounted srv in a group, by Fiber's own
	// listener. It calls listening when clients can connect.
	Listen func(addr string, srv *sio.Server, listening func()) error

	// Prefork runs an application that has mounted srv, in several processes.
	Prefork func(srv *sio.Server) error

	// Use runs an application with middleware and a mounted server, until the test ends.
	Use func(t *testing.T, srv *sio.Server, middleware func(c C)) siotest.Dialer

	// RequestCtx, SetLocal and SetContext are methods of the context.
	RequestCtx func(c C) *fasthttp.RequestCtx
	SetLocal   func(c C, key, value any)
	SetContext func(c C, ctx context.Context)

	// Locals is the integration's function of that name for several types.
	Locals Locals
}

// Locals is a generic function.
type Locals struct {
	Any    func(s *sio.Socket, key any) any
	Bytes  func(s *sio.Socket, key any) []byte
	Int    func(s *sio.Socket, key any) int
	String func(s *sio.Socket, key any) string
}

// A Config has settings of Fiber that tests change: see [mounttest.App].
type Config struct {
	ReadTimeout, WriteTimeout, IdleTimeout                                    time.Duration
	BodyLimit, Concurrency                                                    int
	ReduceMemoryUsage, Immutable, StreamRequestBody, DisableHeaderNormalizing bool
}

// ConfigOf returns the settings of an application.
func ConfigOf(app mounttest.App) Config {
	c, _ := app.Config.(Config) // there may be none
	return c
}

// Variants returns settings that mounts work with.
func Variants() map[string]any {
	return map[string]any{
		"Immutable":                Config{Immutable: true},
		"StreamRequestBody":        Config{StreamRequestBody: true},
		"DisableHeaderNormalizing": Config{DisableHeaderNormalizing: true},
	}
}

// Main begins the function TestMain of an integration. In a process that a test has
// started, it does not return.
func (f Framework[C]) Main() {
	if os.Getenv(preforking) != "" {
		f.prefork()
	}
}

// An Application is one of Fiber's.
type Application interface {
	ShutdownWithContext(ctx context.Context) error
}

// Serve has an application serve a new port of this machine until the test ends, and
// returns how to reach it. listen serves a listener.
func Serve(t *testing.T, app Application, overTLS bool, listen func(l net.Listener) error) siotest.Dialer {
	t.Helper()
	l, d := mounttest.Listen(t)
	if overTLS {
		hs := httptest.NewTLSServer(nil) // has a certificate
		defer hs.Close()
		pool := x509.NewCertPool()
		pool.AddCert(hs.Certificate())
		l = tls.NewListener(l, &tls.Config{Certificates: hs.TLS.Certificates, MinVersion: tls.VersionTLS12})
		d = siotest.Dialer{
			URL: "https://" + l.Addr().String() + "/socket.io/",
			TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		}
	}
	served := make(chan error, 1)
	go func() { served <- listen(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.ShutdownWithContext(ctx); err != nil {
			t.Errorf("stopping Fiber: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Fiber: %v", err)
		}
	})
	return d
}

// Start has an application serve a new port until it is stopped.
func Start(t *testing.T, app Application, listen func(l net.Listener) error) *mounttest.Running {
	t.Helper()
	l, d := mounttest.Listen(t)
	served := make(chan error, 1)
	go func() { served <- listen(l) }()
	return &mounttest.Running{Dialer: d, Stop: app.ShutdownWithContext, Served: served}
}

// patience is how long what should happen at once may take.
const patience = time.Minute

// serve returns a server in an application with these settings.
func (f Framework[C]) serve(t *testing.T, opts *sio.Options, app mounttest.App) (*sio.Server, siotest.Dialer) {
	t.Helper()
	mount := siotest.Mount(func(t *testing.T, srv *sio.Server) siotest.Dialer {
		t.Helper()
		return f.Serve(t, srv, app)
	})
	return mount.Serve(t, opts, func(*sio.Server) {})
}
