package siotest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// waitLimit is how long a client waits for a packet before it fails the test. With fake
// time, the limit is fakeWaitLimit: there, a test may sleep for hours, and waiting costs
// no time.
const (
	waitLimit     = time.Minute
	fakeWaitLimit = 24 * time.Hour
)

// A Dialer connects clients to a server. It is a value: to connect in another way, change
// a copy. A client that has to wait for more than a minute fails its test. In a bubble of
// testing/synctest, the limit is a day.
type Dialer struct {
	// URL is where the server is mounted, such as
	// "http://127.0.0.1:3000/socket.io/". A query is kept.
	URL string

	// TLS is used if the URL begins with "https:".
	TLS *tls.Config

	// Header is sent with every request.
	Header http.Header

	// Dial opens connections. Nil means the network.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Loopback serves h on a port of this machine until the test ends. It returns a Dialer
// for the path "/socket.io/".
func Loopback(tb testing.TB, h http.Handler) Dialer {
	tb.Helper()
	hs := httptest.NewServer(h)
	tb.Cleanup(func() {
		hs.CloseClientConnections() // an open poll would delay Close
		hs.Close()
	})
	return Dialer{URL: hs.URL + "/socket.io/"}
}

// LoopbackTLS is [Loopback] over TLS.
func LoopbackTLS(tb testing.TB, h http.Handler) Dialer {
	tb.Helper()
	hs := httptest.NewUnstartedServer(h)
	hs.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // clients may close connections at any time
	hs.StartTLS()
	tb.Cleanup(func() {
		hs.CloseClientConnections()
		hs.Close()
	})
	pool := x509.NewCertPool()
	pool.AddCert(hs.Certificate())
	return Dialer{URL: hs.URL + "/socket.io/", TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
}

// At returns d for another path of the same server, such as "/app/socket.io/".
func (d Dialer) At(path string) Dialer {
	u, err := url.Parse(d.URL)
	if err != nil {
		return d // the request will fail with the reason
	}
	u.Path, u.RawPath, u.RawQuery = path, "", ""
	d.URL = u.String()
	return d
}

// Pipes serves h in memory until the test ends. It returns a Dialer for the path
// "/socket.io/". A pipe has no buffer: data that a client does not read waits in the
// server. Within a bubble of testing/synctest, h and all clients have to belong to the
// bubble.
func Pipes(tb testing.TB, h http.Handler) Dialer {
	tb.Helper()
	return ServePipes(tb, &http.Server{Handler: h, ReadHeaderTimeout: time.Minute})
}

// ServePipes is [Pipes] for an HTTP server with settings of its own.
func ServePipes(tb testing.TB, hs *http.Server) Dialer {
	tb.Helper()
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(l) }() // ends with Close below
	tb.Cleanup(func() {
		if err := hs.Close(); err != nil {
			tb.Errorf("siotest: closing the HTTP server: %v", err)
		}
		if err := <-served; !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("siotest: the HTTP server: %v", err)
		}
	})
	return Dialer{URL: "http://pipe.test/socket.io/", Dial: l.dial}
}

// A pipeListener accepts the other ends of the pipes that its dial returns.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// HTTP returns an HTTP client for single requests to the server. Its connections are
// closed when the test ends.
func (d Dialer) HTTP(tb testing.TB) *http.Client {
	tb.Helper()
	tr := &http.Transport{DialContext: d.Dial, TLSClientConfig: d.TLS, DisableCompression: true}
	tb.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: withHeader{tr, d.Header}, Timeout: d.waitLimit()}
}

// Endpoint returns the URL for a single request. params are names and values in turn,
// which are added to the parameters of the Dialer's URL.
func (d Dialer) Endpoint(params ...string) string {
	u, err := url.Parse(d.URL)
	if err != nil {
		return d.URL // the request will fail with the reason
	}
	q := u.Query()
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func (Dialer) waitLimit() time.Duration {
	if inBubble() {
		return fakeWaitLimit
	}
	return waitLimit
}

// inBubble reports whether time is fake. Package testing/synctest has no function for
// that, but its documentation says that time in a bubble begins on 2000-01-01. A test
// would have to sleep for 20 years to be mistaken.
func inBubble() bool { return time.Now().Year() < 2020 }

// deadline is when waiting becomes a failure.
func (d Dialer) deadline() time.Time { return time.Now().Add(d.waitLimit()) }

// connect opens a connection to the server of that URL.
func (d Dialer) connect(ctx context.Context, u *url.URL) (net.Conn, error) {
	dial := d.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", u.Host)
	if err != nil || u.Scheme != "https" {
		return conn, err
	}
	config := d.TLS.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// withHeader adds a header to every request.
type withHeader struct {
	next   http.RoundTripper
	header http.Header
}

func (t withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for k, vs := range t.header {
		r.Header[http.CanonicalHeaderKey(k)] = vs
	}
	res, err := t.next.RoundTrip(r)
	if err != nil && errors.Is(err, net.ErrClosed) {
		return nil, errEnded
	}
	return res, err
}
