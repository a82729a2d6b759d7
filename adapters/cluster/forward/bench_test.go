package forward_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// A message and its echo over polling: a POST and a poll. Forwarded, each costs a request
// between two servers of this process more, or messages over a broker in memory, which costs
// nothing itself.
func BenchmarkPollingEcho(b *testing.B) {
	for _, name := range []string{"local", "forwarded", "over a broker"} {
		b.Run(name, func(b *testing.B) {
			nodes := startCluster(b, 2, startOptions{broker: name == "over a broker"})
			d := nodes[0].dialer()
			if name != "local" {
				d = nodes[1].dialer()
			}
			c := nodes[0].dialer().Polling(b)
			c.Connect("/", "")
			url := d.Endpoint("EIO", "4", "transport", "polling", "sid", c.SID())
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				exchange(b, client, http.MethodPost, url, `421["echo","hello"]`)
				if got := exchange(b, client, http.MethodGet, url, ""); got != `431["hello"]` {
					b.Fatalf("%q", got)
				}
			}
		})
	}
}

func exchange(b *testing.B, client *http.Client, method, url, body string) string {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	var buf bytes.Buffer
	if _, err := io.Copy(&buf, res.Body); err != nil {
		b.Fatal(err)
	}
	return buf.String()
}

// The same over a WebSocket that was upgraded here, or at another server.
func BenchmarkWebSocketEcho(b *testing.B) {
	for _, name := range []string{"local", "forwarded"} {
		b.Run(name, func(b *testing.B) {
			nodes := startCluster(b, 2, startOptions{})
			var upgraded atomic.Pointer[node] // where the next connection goes
			upgraded.Store(nodes[0])
			d := nodes[0].dialer()
			d.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(upgraded.Load().web.URL, "http://"))
			}
			c := d.Polling(b)
			if name == "forwarded" {
				upgraded.Store(nodes[1])
			}
			c.Upgrade()
			c.Connect("/", "")
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				c.Send(`421["echo","hello"]`)
				c.Want(`431["hello"]`)
			}
			if n := nodes[1].router.Stats().Tunnels; (n == 1) != (name == "forwarded") {
				b.Errorf("%d tunnels", n)
			}
		})
	}
}

// A request with a forged id that names another server, and one that names none.
func BenchmarkForgedID(b *testing.B) {
	for name, prefix := range map[string]string{"of a server": "no_1", "of none": "none"} {
		b.Run(name, func(b *testing.B) {
			nodes := startCluster(b, 2, startOptions{})
			url := nodes[0].dialer().Endpoint("EIO", "4", "transport", "polling", "sid", prefix+"0123456789abcdef")
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				exchange(b, client, http.MethodGet, url, "")
			}
		})
	}
}
