package faults_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/test/network"
)

// The connection of an upgrade breaks after each number of bytes. Before the packet "5" is
// complete, polling goes on as if nothing had been, and a second attempt works. Afterwards
// the session ends with the connection.
func TestUpgradeIsCut(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{}, nil)
		var script script
		script.add(webSocketRequest(strings.Repeat("s", 20)), text("2probe"), text("5"))
		committed := len(script.bytes)
		script.add(text(say("00000", "last", "")))
		for n := 1; n <= len(script.bytes); n++ {
			if !long() && n < script.edges[1]-2 && n%25 != 0 {
				continue
			}
			name := fmt.Sprintf("%05d", n)
			sid := openPolling(t, s.addr)
			s.proxy.CutAfter(network.Up, int64(n), n%3 == 0)
			c := dial(t, s.proxy.Addr())
			_, _ = c.Write(slices.Concat(webSocketRequest(sid), text("2probe"), text("5"), text(say(name, "last", ""))))
			c.drain()
			_ = c.Close()
			switch {
			case n < committed:
				s.upgradeAfterAFailure(sid, name)
			case n%3 != 0:
				s.eventually("the session has ended", func() string {
					if got := s.srv.ClientsCount(); got != s.clients {
						return fmt.Sprint(got, " clients")
					}
					return ""
				})
				wantAnswer(t, s.addr, http.MethodGet, sid, "", http.StatusBadRequest, unknownSession)
			default: // a reset may come before the last bytes
				_, _ = do(t, s.addr, http.MethodPost, sid, "1")
			}
		}
		s.settle(lost()...)
	})
}

// upgradeAfterAFailure checks that a session polls, and moves it to a WebSocket.
func (s *site) upgradeAfterAFailure(sid, name string) {
	t := s.t
	t.Helper()
	wantAnswer(t, s.addr, http.MethodPost, sid, `421`+say(name, "polled", "")[2:], http.StatusOK, "ok")
	wantAnswer(t, s.addr, http.MethodGet, sid, "", http.StatusOK, `431["polled"]`)
	var c *raw
	s.eventually("a second attempt", func() string { // the server may not have seen the end of the first
		c = dial(t, s.addr)
		c.send(webSocketRequest(sid), text("2probe"))
		c.switched()
		op, p, err := c.next()
		if err != nil || op == opClose {
			_ = c.Close()
			return fmt.Sprint(op, p, err)
		}
		if p != "3probe" {
			t.Fatalf("answer to the probe: %q", p)
		}
		return ""
	})
	c.send(text("5"), text(`422`+say(name, "upgraded", "")[2:]))
	c.want(`432["upgraded"]`)
	_ = c.Close()
	if got := s.said(name); !slices.Equal(got, []string{"polled", "upgraded"}) {
		t.Errorf("handled %q", got)
	}
}

// The connection of an upgrade breaks while a poll waits, at each step. The poll ends with a
// noop if the probe was answered, and polling goes on.
func TestUpgradeIsCutWhileAPollWaits(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		var polls atomic.Int32
		s := start(t, m, sio.Options{UseRequest: []func(http.Header, *sio.Request) error{
			func(_ http.Header, r *sio.Request) error {
				if r.Method == http.MethodGet && r.Query.Get("transport") == "polling" {
					polls.Add(1)
				}
				return nil
			},
		}}, nil)
		for step := range 2 {
			name := fmt.Sprint("step ", step)
			sid := openPolling(t, s.addr)
			poll, earlier := dial(t, s.addr), polls.Load()
			poll.send(request(http.MethodGet, sid, ""))
			s.eventually("the poll has come", func() string {
				if polls.Load() == earlier {
					return "not yet"
				}
				return ""
			})
			c := dial(t, s.proxy.Addr())
			c.send(webSocketRequest(sid))
			c.switched()
			want := `431["polled"]`
			if step == 1 {
				c.send(text("2probe"))
				c.want("3probe")
				want = "6"
			}
			s.proxy.Reset()
			c.drain()
			if step == 0 {
				wantAnswer(t, s.addr, http.MethodPost, sid, `421`+say(name, "polled", "")[2:], http.StatusOK, "ok")
			}
			if _, got, err := poll.answer(); err != nil || got != want {
				t.Errorf("%s: the poll was answered %q, %v", name, got, err)
			}
			_ = poll.Close()
			s.upgradeAfterAFailure(sid, name+", then")
		}
		s.settle(lost()...)
	})
}

// A WebSocket that does not go on with the upgrade is closed after UpgradeTimeout, to the
// nanosecond. The session polls on.
func TestUpgradeStalls(t *testing.T) {
	const limit = 10 * time.Second
	for name, sent := range map[string][][]byte{
		"after the handshake": nil,
		"in the probe":        {text("2probe")[:5]},
		"after the probe":     {text("2probe")},
		"in the last packet":  {text("2probe"), text("5")[:6]},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := sio.New(&sio.Options{UpgradeTimeout: limit})
				defer func() { _ = srv.Shutdown(t.Context()) }()
				srv.On("echo", sio.Reply(func(_ *sio.Ctx, v int) (int, error) { return v, nil }))
				d := siotest.Pipes(t, srv)
				p := d.Polling(t)
				p.Connect("/", "")
				conn, err := d.Dial(t.Context(), "tcp", "")
				if err != nil {
					t.Fatal(err)
				}
				c := newRaw(t, conn)
				c.send(webSocketRequest(p.SID()))
				c.switched()
				began := time.Now()
				for i, p := range sent {
					c.send(p)
					if i == 0 && len(sent) > 1 { // a pipe has no buffer for the answer
						c.want("3probe")
					}
				}
				c.drain()
				if took := time.Since(began); took != limit {
					t.Errorf("closed after %v", took)
				}
				p.Send(`421["echo",7]`)
				p.Want(`431[7]`)
				p.Upgrade()
				p.Send(`422["echo",8]`)
				p.Want(`432[8]`)
			})
		})
	}
}
