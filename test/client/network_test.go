package client_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	sioclient "github.com/sioplug/sioplug/client"
)

// sharedClient returns an HTTP client that several sockets may use.
func sharedClient(t *testing.T) (*http.Client, *http.Transport) {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}, tr
}

// certificate returns the certificate of package httptest, and settings that trust it.
func certificate(t *testing.T) (*tls.Certificate, *tls.Config) {
	t.Helper()
	hs := httptest.NewTLSServer(http.NotFoundHandler())
	defer hs.Close()
	pool := x509.NewCertPool()
	pool.AddCert(hs.Certificate())
	return &hs.TLS.Certificates[0], &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// TestTLS connects over TLS. This project's server also speaks HTTP/2, which polling uses.
func TestTLS(t *testing.T) {
	cert, trusting := certificate(t)
	each(t, settings{TLS: cert}, func(t *testing.T, url string) {
		for _, w := range ways() {
			t.Run("CLI-OP-11 "+w.name, func(t *testing.T) {
				o := w.o
				o.DisableReconnection = true
				if err := newSocket(t, url, o).Connect(within(t)); err == nil {
					t.Error("an unknown certificate was accepted")
				}
				o.TLS = trusting
				s := connect(t, url, o)
				settle(t, s, o)
				if v, err := sioclient.EmitWithAck[[]byte](within(t), s, "echo", []byte("x")); string(v) != "x" || err != nil {
					t.Error(v, err)
				}
			})
		}
	})
}

// TestProxy connects through an HTTP proxy, which sees CONNECT for TLS.
func TestProxy(t *testing.T) {
	cert, trusting := certificate(t)
	each(t, settings{TLS: cert}, func(t *testing.T, url string) {
		for _, w := range ways() {
			t.Run("CLI-OP-12 "+w.name, func(t *testing.T) {
				tunnels := newTunnels(t)
				o := w.o
				o.TLS, o.Proxy = trusting, http.ProxyURL(tunnels.url)
				s := connect(t, url, o)
				settle(t, s, o)
				if v, err := sioclient.EmitWithAck[int](within(t), s, "echo", 1); v != 1 || err != nil || tunnels.count.Load() == 0 {
					t.Error(v, err, tunnels.count.Load())
				}
			})
		}
	})
}

// A tunnels is an HTTP proxy for CONNECT.
type tunnels struct {
	url   *url.URL
	count atomic.Int64

	mu    sync.Mutex
	conns []net.Conn
	wg    sync.WaitGroup
}

func newTunnels(t *testing.T) *tunnels {
	t.Helper()
	p := new(tunnels)
	hs := httptest.NewServer(p)
	u, err := url.Parse(hs.URL)
	if err != nil {
		t.Fatal(err)
	}
	p.url = u
	t.Cleanup(func() {
		hs.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

// ServeHTTP implements [http.Handler].
func (p *tunnels) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, ok := w.(http.Hijacker)
	if r.Method != http.MethodConnect || !ok {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	server, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	client, _, err := h.Hijack()
	if err != nil {
		_ = server.Close()
		return
	}
	p.count.Add(1)
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	for dst, src := range map[net.Conn]net.Conn{client: server, server: client} {
		p.wg.Go(func() {
			_, _ = io.Copy(dst, src)
			_ = dst.Close()
			_ = src.Close()
		})
	}
}
