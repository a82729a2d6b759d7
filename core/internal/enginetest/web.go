package enginetest

import (
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/sioplug/sioplug/core/nethttp"
)

// Listen serves the kit over net/http on the loopback network and returns the
// server. What net/http has to complain about counts as logged.
func (k *Kit) Listen() *httptest.Server {
	k.t.Helper()
	return k.listen(k, (*httptest.Server).Start)
}

// ListenTo is Listen with a handler that serves the kit in its own way.
func (k *Kit) ListenTo(h http.Handler) *httptest.Server {
	k.t.Helper()
	return k.listen(h, (*httptest.Server).Start)
}

// ListenTLS is ListenTo over TLS, where HTTP/2 is possible.
func (k *Kit) ListenTLS(h http.Handler) *httptest.Server {
	k.t.Helper()
	return k.listen(h, func(web *httptest.Server) {
		web.EnableHTTP2 = true
		web.StartTLS()
	})
}

func (k *Kit) listen(h http.Handler, start func(*httptest.Server)) *httptest.Server {
	web := httptest.NewUnstartedServer(h)
	web.Config.ErrorLog = slog.NewLogLogger(k.Log, slog.LevelError)
	start(web)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.web = web
	return web
}

// ServeHTTP implements [http.Handler].
func (k *Kit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.Serve(r.Context(), nethttp.New(w, r))
}

// Connect opens a TCP connection to a server of Listen, to write requests that
// no HTTP client would.
func (k *Kit) Connect(web *httptest.Server) net.Conn {
	k.t.Helper()
	nc, err := net.Dial("tcp", web.Listener.Addr().String()) //nolint:noctx // to ourselves
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = nc.Close() })
	return nc
}
