package ratelimit_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// Behind a proxy on a Unix socket, frameworks know no address, or say one that is none.
// Such clients were not limited by address, or only by what they made up.
func TestALimitByAddressFellAwayWithTheAddress(t *testing.T) {
	t.Parallel()
	const n = 3
	for name, addresses := range map[string][]string{
		"a Unix socket":  {"@", "@", "@", "@", "@"},
		"unspecified":    {"0.0.0.0:80", "[::]:80", "[::ffff:0.0.0.0]:1", "0.0.0.0:2", "0.0.0.0:3"},
		"made up":        {"a", "b", "c", "unknown", "10.0.0.300"},
		"all of these":   {"@", "0.0.0.0:80", "x", "_hidden", "/run/app.sock"},
		"with a port":    {"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3", "192.0.2.1:4", "192.0.2.1:5"},
		"list":           {"203.0.113.1, 192.0.2.1", "203.0.113.2,192.0.2.1", "x, 192.0.2.1", ", 192.0.2.1", "192.0.2.1"},
		"IPv6 with port": {"[2001:db8::1]:1", "[2001:db8::2]:2", "[2001:db8::3]:3", "[2001:db8::4]:4", "[2001:db8::5]:5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for limit, set := range map[string]func(*sio.Options, *sio.Server, ratelimit.Option){
				"PerIP": func(_ *sio.Options, srv *sio.Server, log ratelimit.Option) {
					srv.UseConnect(ratelimit.PerIP(n, time.Minute, log))
				},
				"PerUser": func(_ *sio.Options, srv *sio.Server, log ratelimit.Option) {
					srv.UseConnect(ratelimit.PerUser(func(*sio.Socket) string { return "" }, n, time.Minute, log))
				},
				"MaxPerIP": func(_ *sio.Options, srv *sio.Server, log ratelimit.Option) {
					srv.UseConnect(ratelimit.MaxPerIP(n, log))
				},
				"MaxPerUser": func(_ *sio.Options, srv *sio.Server, log ratelimit.Option) {
					srv.UseConnect(ratelimit.MaxPerUser(func(*sio.Socket) string { return "" }, n, log))
				},
				"Handshakes": func(o *sio.Options, _ *sio.Server, log ratelimit.Option) {
					limit := sync.OnceValue(func() func(http.Header, *sio.Request) error { // it goes by the time of the bubble
						return ratelimit.Handshakes(n, time.Minute, log)
					})
					o.UseRequest = []func(http.Header, *sio.Request) error{
						func(h http.Header, r *sio.Request) error { return limit()(h, r) },
					}
				},
			} {
				t.Run(limit, func(t *testing.T) {
					var said bytes.Buffer
					log := ratelimit.Logger(slog.New(slog.NewTextHandler(&said, nil)))
					var opts sio.Options
					if limit == "Handshakes" {
						set(&opts, nil, log)
					}
					bubble(t, &opts, func(t *testing.T, net network) {
						if limit != "Handshakes" {
							set(nil, net.srv, log)
						}
						in := 0
						for _, address := range addresses {
							net.Header = http.Header{"Test-Address": {address}}
							if entered(t, net, limit == "Handshakes") {
								in++
							}
						}
						if in != n {
							t.Errorf("%d of %d got in, want %d", in, len(addresses), n)
						}
					})
					want := 1
					if strings.Contains(name, "port") || name == "list" {
						want = 0
					}
					if got := strings.Count(said.String(), "level=WARN"); got != want || want == 1 && !strings.Contains(said.String(), "docs/ratelimit.md") {
						t.Errorf("%d warnings, want %d: %s", got, want, &said)
					}
				})
			}
		})
	}
}

// entered reports whether a client gets in: to the server, or to the namespace.
func entered(t *testing.T, n network, server bool) bool {
	t.Helper()
	if !server {
		_, err := n.TryConnect(t, "/", nil)
		return err == nil
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.Endpoint("EIO", "4", "transport", "polling"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = n.Header.Clone()
	res, err := n.HTTP(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}
