//go:build unix

package faults_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/siotest"
)

// A server has no descriptor left for another connection. It serves those who are
// connected, logs that a bounded number of times, and accepts clients again when
// descriptors are free.
func TestDescriptorsAreExhausted(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		const descriptors = 64
		s := startChild(t, settings{Mount: m.name, Descriptors: descriptors})
		d := siotest.Dialer{URL: "http://" + s.addr + "/socket.io/"}
		ws := d.Connect(t, "/", nil)
		polling := dial(t, s.addr) // whose connection stays
		sid := openPolling(t, s.addr)
		began := time.Now()
		var conns []net.Conn
		for range 2 * descriptors {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		eventually(t, "the server runs out of descriptors", func() string {
			if len(s.lines()) == 0 {
				return "nothing is logged"
			}
			return ""
		})
		for i := range 20 {
			echo(t, ws, i)
			polling.send(request(http.MethodPost, sid, fmt.Sprintf(`421["echo",%d]`, i)))
			wantNext(t, polling, "ok")
			polling.send(request(http.MethodGet, sid, ""))
			wantNext(t, polling, fmt.Sprintf("431[%d]", i))
		}
		for _, c := range conns {
			_ = c.Close()
		}
		fresh := d.Connect(t, "/", nil)
		echo(t, fresh, 1)
		upgraded := d.Polling(t)
		upgraded.Connect("/", "")
		upgraded.Upgrade()
		upgraded.Send(`421["echo","over a WebSocket"]`)
		upgraded.Want(`431["over a WebSocket"]`)
		echo(t, ws, 2)

		most := 1 // a minute, says the documentation
		if m.name == "nethttp" {
			most = 10 + int(time.Since(began)/time.Second) // its pauses double until they are a second
		}
		if lines := s.lines(); len(lines) > most {
			t.Errorf("%d lines are logged:\n%s", len(lines), strings.Join(lines, "\n"))
		}
	})
}

func echo(t *testing.T, p *siotest.Peer, v int) {
	t.Helper()
	var got int
	if p.Ask("echo", v).Bind(&got); got != v {
		t.Errorf("echo of %d: %d", v, got)
	}
}

func wantNext(t *testing.T, c *raw, want string) {
	t.Helper()
	if status, got, err := c.answer(); status != http.StatusOK || got != want || err != nil {
		t.Fatalf("answer %d %q, %v, want %q", status, got, err, want)
	}
}
