package engine_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// moments notes what an observer is told.
type moments struct {
	mu   sync.Mutex
	told []string
}

func (m *moments) add(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, fmt.Sprintf(format, args...))
}

func (m *moments) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.told, want) {
		t.Errorf("observed\n%q, want\n%q", m.told, want)
	}
	m.told = nil
}

func (m *moments) observer() *engine.Observer {
	return &engine.Observer{
		SessionOpened:   func(i engine.SessionInfo) { m.add("opened %s %d %v", i.Transport, i.Session.Protocol(), i.Age) },
		SessionUpgraded: func(i engine.SessionInfo) { m.add("upgraded %s %v", i.Transport, i.Age) },
		UpgradeFailed:   func(i engine.UpgradeFailedInfo) { m.add("upgrade failed: %s", i.Reason) },
		RequestRefused: func(i engine.RequestRefusedInfo) {
			m.add("refused %d %s %d %s %v %v", i.Code, i.Name, i.Status, i.Transport, i.Handshake, i.Err)
		},
		SlowClient: func(i engine.SlowClientInfo) { m.add("slow %s %v", i.Transport, i.Buffered > 0) },
		SessionClosed: func(i engine.SessionClosedInfo) {
			m.add("closed %s: %s: %v after %v", i.Transport, i.Reason, i.Err, i.Age)
		},
	}
}

func observed(t *testing.T, name string, opts engine.Options, f func(t *testing.T, k *enginetest.Kit, m *moments)) {
	t.Helper()
	m := new(moments)
	opts.Observer = m.observer()
	inBubble(t, name, opts, func(t *testing.T, k *enginetest.Kit) { f(t, k, m) })
}

func TestObserverOfSessions(t *testing.T) {
	observed(t, "polling", engine.Options{}, func(t *testing.T, k *enginetest.Kit, m *moments) {
		p := k.OpenPolling()
		m.want(t, "opened polling 4 0s")
		time.Sleep(time.Second)
		p.Post("1")
		m.want(t, "closed polling: transport close: <nil> after 1s")
	})
	observed(t, "WebSocket", engine.Options{}, func(t *testing.T, k *enginetest.Kit, m *moments) {
		k.Dial(websocket)
		m.want(t, "opened websocket 4 0s")
		k.LastPeer().Session.Close(errors.New("enough"))
		m.want(t, "closed websocket: forced close: enough after 0s")
	})
	observed(t, "upgrade", engine.Options{}, func(t *testing.T, k *enginetest.Kit, m *moments) {
		upgraded(t, k)
		m.want(t, "opened polling 4 0s", "upgraded websocket 0s")
		k.LastPeer().Session.Close(nil)
		m.want(t, "closed websocket: forced close: <nil> after 0s")
	})
	observed(t, "slow client", engine.Options{MaxSendBuffer: 10}, func(t *testing.T, k *enginetest.Kit, m *moments) {
		p := k.OpenPolling()
		p.Send("one")
		_ = p.Session.SendMessage(false, []byte("two"))
		m.want(t, "opened polling 4 0s", "slow polling true", "closed polling: transport error: "+engine.ErrSlowClient.Error()+" after 0s")
	})
}

func TestObserverOfFailedUpgrades(t *testing.T) {
	for reason, tt := range map[engine.UpgradeFailure]struct {
		opts engine.Options
		fail func(t *testing.T, k *enginetest.Kit, p *enginetest.Polling)
	}{
		engine.UpgradeTimedOut: {engine.Options{}, func(_ *testing.T, _ *enginetest.Kit, p *enginetest.Polling) {
			p.Upgrade()
			time.Sleep(11 * time.Second)
		}},
		engine.UpgradeConnectionClosed: {engine.Options{}, func(_ *testing.T, _ *enginetest.Kit, p *enginetest.Polling) {
			p.Upgrade().Close()
		}},
		engine.UpgradeSessionClosed: {engine.Options{}, func(_ *testing.T, _ *enginetest.Kit, p *enginetest.Polling) {
			p.Upgrade()
			p.Post("1")
		}},
		engine.UpgradeNotPossible: {engine.Options{DisableUpgrades: true}, func(_ *testing.T, _ *enginetest.Kit, p *enginetest.Polling) {
			p.Upgrade().Close()
		}},
		engine.UpgradeInvalidPacket: {engine.Options{}, func(_ *testing.T, _ *enginetest.Kit, p *enginetest.Polling) {
			c := p.Upgrade()
			c.Text("4hello")
			synctest.Wait()
			c.Close()
		}},
		engine.UpgradeInvalidHandshake: {engine.Options{}, func(t *testing.T, k *enginetest.Kit, p *enginetest.Polling) {
			h := enginetest.Handshake()
			h.Set("Sec-WebSocket-Version", "12")
			a := k.Do(enginetest.Request{Query: "EIO=4&transport=websocket&sid=" + p.SID, Header: h})
			same(t, "status", a.Status, http.StatusBadRequest)
		}},
	} {
		observed(t, string(reason), tt.opts, func(t *testing.T, k *enginetest.Kit, m *moments) {
			p := k.OpenPolling()
			tt.fail(t, k, p)
			synctest.Wait()
			m.mu.Lock()
			defer m.mu.Unlock()
			got := slices.DeleteFunc(slices.Clone(m.told), func(s string) bool { return !strings.Contains(s, "upgrade") })
			if want := []string{"upgrade failed: " + string(reason)}; !slices.Equal(got, want) {
				t.Errorf("observed %q, want %q", got, want)
			}
		})
	}
}

func TestObserverOfRefusedRequests(t *testing.T) {
	opts := engine.Options{
		AllowRequest: func(r *engine.Request) error {
			if r.Query.Get("refuse") != "" {
				return errors.New("not you")
			}
			return nil
		},
		UseRequest: []func(http.Header, *engine.Request) error{func(_ http.Header, r *engine.Request) error {
			if r.Query.Get("busy") != "" {
				return &engine.HTTPError{Status: http.StatusTooManyRequests}
			}
			return nil
		}},
		CORS: &engine.CORS{Origins: []string{"http://a.com"}},
	}
	observed(t, "", opts, func(t *testing.T, k *enginetest.Kit, m *moments) {
		for _, tt := range []struct {
			request enginetest.Request
			want    []string
		}{
			{enginetest.Request{Query: "transport=tobi"}, []string{"refused 0  400  true <nil>"}},
			{enginetest.Request{Query: polling + "&sid=test"}, []string{"refused 1  400 polling true <nil>"}},
			{enginetest.Request{Query: polling + "&refuse=1"}, []string{"refused 4  403 polling true not you"}},
			{enginetest.Request{Query: polling + "&busy=1"}, []string{"refused -1 MIDDLEWARE 429 polling true Too Many Requests"}},
			{enginetest.Request{Query: websocket}, []string{"refused 3 TRANSPORT_HANDSHAKE_ERROR 400 websocket true <nil>"}},
			{
				enginetest.Request{Query: websocket, Header: enginetest.Handshake(), UpgradeErr: errors.New("no")},
				[]string{"refused 3 TRANSPORT_HANDSHAKE_ERROR 400 websocket true <nil>"},
			},
			{enginetest.Request{Method: http.MethodOptions, Query: polling, Header: fromPage("http://a.com")}, nil}, // a preflight
		} {
			k.Do(tt.request)
			m.want(t, tt.want...)
		}
		p := k.OpenPolling()
		m.want(t, "opened polling 4 0s")
		k.Do(enginetest.Request{Method: http.MethodPut, Query: p.Query()})
		m.want(t, "refused -1 METHOD 405 polling false <nil>")
		k.Log.Loud() // UpgradeErr is logged
	})
}

// An observer that panics, or ends its goroutine, changes nothing.
func TestObserverThatFails(t *testing.T) {
	for way, fail := range map[string]func(){"panic": func() { panic("oh no") }, "exit": runtime.Goexit} {
		opts := engine.Options{Observer: &engine.Observer{
			SessionOpened:   func(engine.SessionInfo) { fail() },
			SessionUpgraded: func(engine.SessionInfo) { fail() },
			RequestRefused:  func(engine.RequestRefusedInfo) { fail() },
			SessionClosed:   func(engine.SessionClosedInfo) { fail() },
		}}
		inBubble(t, way, opts, func(t *testing.T, k *enginetest.Kit) {
			k.OnMessage = enginetest.Echo
			c, _ := upgraded(t, k)
			c.Text("4hello")
			wantFrames(t, c, "4hello")
			a := k.Do(enginetest.Request{Query: "transport=tobi"})
			same(t, "status", a.Status, http.StatusBadRequest)
			k.LastPeer().Session.Close(nil)
			synctest.Wait()
			loud := k.Log.Loud()
			same(t, "records", len(loud), 4)
			for _, l := range loud {
				if !strings.HasPrefix(l, "ERROR a function of an observer failed moment=") {
					t.Errorf("logged %s", l)
				}
			}
		})
	}
}

func TestStats(t *testing.T) {
	inBubble(t, "", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		p := k.OpenPolling()
		open := uint64(len(p.SID) + len(`0{"sid":"","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`))
		same(t, "polling", k.Stats(), engine.Stats{PollingSessions: 1, PacketsSent: 1, BytesSent: open})
		p.Post("4hello")
		synctest.Wait()
		stats := k.Stats()
		if stats.QueuedBytes == 0 {
			t.Error("nothing is queued")
		}
		stats.QueuedBytes = 0
		same(t, "an event", stats, engine.Stats{PollingSessions: 1, PacketsReceived: 1, BytesReceived: 6, PacketsSent: 1, BytesSent: open})
		same(t, "poll", p.Get(), "200 4hello")
		same(t, "its echo", k.Stats(), engine.Stats{PollingSessions: 1, PacketsReceived: 1, BytesReceived: 6, PacketsSent: 2, BytesSent: open + 6})
		c := p.Upgrade()
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		c.Text("5")
		c.Binary("abc")
		wantFrames(t, c, "<616263>")
		synctest.Wait() // the client may have read before the server counts
		want := engine.Stats{WebSocketSessions: 1, PacketsReceived: 2, BytesReceived: 9, PacketsSent: 3, BytesSent: open + 9}
		same(t, "binary, over WebSocket", k.Stats(), want)
		p.Session.Close(nil)
		c.SendClose(1000)
		_ = c.Close()
		synctest.Wait()
		want.WebSocketSessions = 0
		same(t, "after the end", k.Stats(), want)
		same(t, "remembered", k.Remembered(), 0)
	})
}
