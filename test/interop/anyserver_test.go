package interop_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/cluster/forward"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/require"
)

// TestAnyServer runs scenarios against a server that gets no request of its sessions itself:
// all come to another server, which forwards them. Clients must not notice.
func TestAnyServer(t *testing.T) {
	node := require.Tool(t, "node")
	require.NodePackages(t, ".")
	var files []string
	for _, subject := range []string{
		"mount", "transport", "text", "binary", "acks", "errors", "namespaces", "refusal", "rooms", "large", "order",
		"disconnect", "from", "restart", "limits",
	} {
		files = append(files, scenario(subject))
	}
	for _, m := range mounts() {
		t.Run(m.name, func(t *testing.T) {
			for _, mode := range []string{"polling", "upgrade"} {
				t.Run(mode, func(t *testing.T) {
					t.Parallel()
					runScenarios(t, node, mode, newApp(t, withStranger(m), options("limits")), nil, files...)
				})
			}
		})
	}
	for _, subject := range []string{"recovery", "slow", "floods", "deflate", "compress", "volatile", "timeout", "ten"} {
		t.Run(subject, func(t *testing.T) {
			for _, mode := range modes(subject) {
				if mode == "websocket" { // has no second request
					continue
				}
				t.Run(mode, func(t *testing.T) {
					t.Parallel()
					runScenarios(t, node, mode, newApp(t, withStranger(onGin()), options(subject)), nil, scenario(subject))
				})
			}
		})
	}
}

// withStranger returns a mount that sends requests for sessions to another server than the one
// that has them.
func withStranger(m mount) mount {
	var other *pairMember
	inner := m.backend
	m.prepare = func(o *sio.Options) (err error) {
		var owner *pairMember
		owner, other = newPair()
		o.SessionRouter, err = forward.New(owner, forward.Options{Listen: "127.0.0.1:0", Secret: pairSecret})
		return err
	}
	m.backend = func(srv *sio.Server) backend {
		b, err := newStrangerBackend(inner, srv, other)
		if err != nil {
			panic(err)
		}
		return b
	}
	return m
}

const pairSecret = "a secret of the two servers"

// A pairMember is one of two servers of a cluster without a broker.
type pairMember struct {
	id, prefix, address string
	other               *pairMember
}

func newPair() (a, b *pairMember) {
	a = &pairMember{id: "go00000000000000", prefix: "aaaa"}
	b = &pairMember{id: "go00000000000001", prefix: "bbbb", other: a}
	a.other = b
	return a, b
}

func (m *pairMember) Announce(address string) { m.address = address }
func (m *pairMember) ServerID() string        { return m.id }
func (m *pairMember) Prefix() string          { return m.prefix }

func (m *pairMember) Locate(prefix string) (cluster.Location, bool) {
	if prefix != m.other.prefix {
		return cluster.Location{}, false
	}
	return cluster.Location{Server: m.other.id, Address: m.other.address}, true
}

func (m *pairMember) LocateServer(id string) (cluster.Location, bool) {
	if id != m.other.id {
		return cluster.Location{}, false
	}
	return m.Locate(m.other.prefix)
}

// Relay and OnRelay are for servers without an address.
func (*pairMember) Relay(context.Context, string, []byte) error { return errors.ErrUnsupported }
func (*pairMember) OnRelay(func(from string, data []byte))      {}

// A strangerBackend is two applications behind a load balancer. The first one opens all
// sessions, and the second one gets all other requests.
type strangerBackend struct {
	web      *http.Server // the load balancer
	stranger *sio.Server
	backends []backend
	served   chan error // of backends
}

func newStrangerBackend(inner func(*sio.Server) backend, srv *sio.Server, other *pairMember) (*strangerBackend, error) {
	router, err := forward.New(other, forward.Options{Listen: "127.0.0.1:0", Secret: pairSecret})
	if err != nil {
		return nil, err
	}
	opts := srv.Options()
	opts.SessionRouter, opts.Adapter, opts.ConnectionStateRecovery = router, nil, nil
	b := &strangerBackend{stranger: sio.New(&opts), served: make(chan error, 2)}
	var urls []*url.URL
	for _, s := range []*sio.Server{srv, b.stranger} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		app := inner(s)
		b.backends = append(b.backends, app)
		go func() { b.served <- app.Serve(l) }()
		urls = append(urls, &url.URL{Scheme: "http", Host: l.Addr().String()})
	}
	b.web = overHTTP(balancer(urls[0], urls[1]))
	return b, nil
}

// balancer sends handshakes and pages to one server, and requests of sessions to the other.
func balancer(handshakes, sessions *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(handshakes)
			if r.In.URL.Query().Get("sid") != "" {
				r.SetURL(sessions)
			}
			r.Out.Host = r.In.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery
		},
		Transport:    &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
}

// Serve implements [backend].
func (b *strangerBackend) Serve(ln net.Listener) error { return b.web.Serve(ln) }

// Shutdown implements [backend].
func (b *strangerBackend) Shutdown(ctx context.Context) error {
	errs := []error{b.stranger.Shutdown(ctx)}
	for _, app := range b.backends {
		errs = append(errs, app.Shutdown(ctx))
	}
	for range b.backends {
		if err := <-b.served; !errors.Is(err, http.ErrServerClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, b.web.Close())...)
}
