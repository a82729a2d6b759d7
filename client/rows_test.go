package sioclient_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// Until a socket connects, nothing is opened.
func TestCLI_MG_1_NewDoesNotConnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int64
		s, err := sioclient.New("http://nobody.test", &sioclient.Options{
			Logger: quiet(),
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				dials.Add(1)
				return nil, errRefused
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if s.Active() || s.Connected() || dials.Load() > 0 || s.Manager().Transport() != "" {
			t.Error("the client has connected")
		}
	})
}

// Each New has a Manager; Of returns the socket that is there.
func TestCLI_URL_3_Managers(t *testing.T) {
	t.Parallel()
	a, errA := sioclient.New("http://localhost/x", nil)
	b, errB := sioclient.New("http://localhost/x", nil)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if again, err := a.Manager().Of("/x"); a.Manager() == b.Manager() || again != a || err != nil {
		t.Error(err)
	}
}

// In an upgrade, the probe comes first, and "5" when the last poll has ended.
func TestCLI_TR_4_OrderOfAnUpgrade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var story []string
		tell := func(part string) {
			mu.Lock()
			defer mu.Unlock()
			story = append(story, part)
		}
		polling, probed, end := make(chan bool), make(chan bool), make(chan bool)
		polls, upgradable := 0, strings.Replace(openPacket, "[]", `["websocket"]`, 1)
		r := rogue{
			ws: func(c *rogueConn) {
				tell(c.next())
				<-polling
				c.send("3probe")
				time.Sleep(time.Second) // nothing follows while a poll is open
				tell("noop")
				close(probed)
				tell(c.next())
				tell(c.next())
				close(end)
				c.drain()
			},
			poll: func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Query().Get("sid") == "":
					tell("handshake")
					_, _ = w.Write([]byte(upgradable))
				case r.Method == http.MethodPost:
					_, _ = w.Write([]byte("ok"))
				default:
					if polls++; polls == 1 {
						_, _ = w.Write([]byte(`40{"sid":"a"}`))
						return
					}
					close(polling) // once: there is no third poll
					<-probed
					_, _ = w.Write([]byte("6"))
				}
			},
		}
		s := newSocket(t, r.dialer(t), "/", once("polling", "websocket"))
		s.OnConnect(func(s *sioclient.Socket) {
			time.Sleep(time.Millisecond) // the probe was answered
			if err := s.Emit("later"); err != nil {
				t.Error(err)
			}
		})
		if err := s.Connect(context.Background()); err != nil {
			t.Fatal(err)
		}
		<-end
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(story, " "); got != `handshake 2probe noop 5 42["later"]` {
			t.Error(got)
		}
		if polls != 2 {
			t.Errorf("%d polls", polls)
		}
	})
}

// Options that can be seen in the requests.
func TestOptionsInRequests(t *testing.T) {
	t.Parallel()
	const session = "EIO=4&transport="
	for name, tt := range map[string]struct {
		o      sioclient.Options
		ws     string // the URL of the WebSocket
		poll   string // the URL of the first poll, without a timestamp
		header map[string]string
	}{
		"CLI-OP-1 defaults":         {sioclient.Options{}, "/socket.io/?" + session + "websocket", "/socket.io/?EIO=4&t=&transport=polling", nil},
		"CLI-OP-1 path":             {sioclient.Options{Path: "/a/b"}, "/a/b/?" + session + "websocket", "/a/b/?EIO=4&t=&transport=polling", nil},
		"CLI-OP-1 addTrailingSlash": {sioclient.Options{Path: "a", DisableTrailingSlash: true}, "/a?" + session + "websocket", "/a?EIO=4&t=&transport=polling", nil},
		"CLI-OP-2 query": {
			sioclient.Options{Query: url.Values{"k": {"a b", "c"}}},
			"/socket.io/?k=a+b&k=c&" + session + "websocket",
			"/socket.io/?k=a+b&k=c&EIO=4&t=&transport=polling", nil,
		},
		"CLI-OP-3 extraHeaders": {
			sioclient.Options{ExtraHeaders: http.Header{"Authorization": {"Bearer x"}, "Host": {"other.test"}}},
			"/socket.io/?" + session + "websocket", "/socket.io/?EIO=4&t=&transport=polling",
			map[string]string{"Authorization": "Bearer x", "Host": "other.test"},
		},
		"CLI-OP-6 forceBase64": {
			sioclient.Options{ForceBase64: true}, "/socket.io/?EIO=4&b64=1&transport=websocket", "/socket.io/?EIO=4&b64=1&t=&transport=polling", nil,
		},
		"CLI-OP-7 timestampParam": {
			sioclient.Options{TimestampParam: "zz"}, "/socket.io/?" + session + "websocket", "/socket.io/?" + session + "polling&zz=", nil,
		},
		"CLI-OP-7 timestampRequests": {
			sioclient.Options{DisableTimestampRequests: true}, "/socket.io/?" + session + "websocket", "/socket.io/?" + session + "polling", nil,
		},
		"CLI-OP-9 perMessageDeflate": {
			sioclient.Options{PerMessageDeflate: &sio.PerMessageDeflate{}},
			"/socket.io/?" + session + "websocket", "/socket.io/?EIO=4&t=&transport=polling",
			map[string]string{"Sec-Websocket-Extensions": "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"},
		},
		"CLI-OP-10 protocols": {
			sioclient.Options{Protocols: []string{"a", "b"}},
			"/socket.io/?" + session + "websocket", "/socket.io/?EIO=4&t=&transport=polling",
			map[string]string{"Sec-Websocket-Protocol": "a, b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for transport, want := range map[string]string{"websocket": tt.ws, "polling": tt.poll} {
				got := firstRequest(t, transport, tt.o)
				if u := withoutTime(got.URL); u != want {
					t.Errorf("%s: %s, want %s", transport, u, want)
				}
				for k, v := range tt.header {
					if k == "Host" {
						got.Header.Set(k, got.Host)
					}
					if transport == "polling" && strings.HasPrefix(k, "Sec-") {
						v = ""
					}
					if h := got.Header.Get(k); h != v {
						t.Errorf("%s: %s is %q, want %q", transport, k, h, v)
					}
				}
			}
		})
	}
}

// firstRequest returns the first request of a client.
func firstRequest(t *testing.T, transport string, o sioclient.Options) *http.Request {
	t.Helper()
	requests := make(chan *http.Request, 1)
	d := siotest.Pipes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Clone(context.WithoutCancel(r.Context()))
		w.WriteHeader(http.StatusForbidden)
	}))
	o.Transports, o.DisableReconnection = []string{transport}, true
	s := newSocket(t, d, "/", o)
	if err := s.Connect(within(t)); err == nil || !strings.Contains(err.Error(), "status 403") {
		t.Error(err)
	}
	return wait(t, requests)
}

// withoutTime returns a URL without the value of its timestamp.
func withoutTime(u *url.URL) string {
	parts := strings.Split(u.RequestURI(), "&")
	for i, p := range parts {
		if k, v, _ := strings.Cut(p, "="); (k == "t" || k == "zz") && len(v) >= 8 {
			parts[i] = k + "="
		}
	}
	return strings.Join(parts, "&")
}

func TestRequestTimeout(t *testing.T) {
	t.Parallel()
	t.Run("CLI-OP-8", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			end := make(chan bool)
			r := rogue{poll: polls(end, func(*http.Request) string { <-end; return "6" })}
			o := once("polling")
			o.RequestTimeout = 3 * time.Second
			s := newSocket(t, r.dialer(t), "/", o)
			lost := make(chan sioclient.Reason, 1)
			s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { lost <- r })
			if err := s.Connect(context.Background()); err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if r := <-lost; r != sioclient.ReasonTransportError || time.Since(start) != 3*time.Second {
				t.Errorf("%q after %v", r, time.Since(start))
			}
			close(end)
			time.Sleep(time.Minute)
		})
	})
}

// With DisableUpgrade, a session stays with polling.
func TestDisableUpgrade(t *testing.T) {
	t.Parallel()
	t.Run("CLI-OP-14", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			o := once("polling", "websocket")
			o.DisableUpgrade = true
			s := connect(t, siotest.Pipes(t, newServer(nil)), "/", o)
			time.Sleep(time.Hour)
			if s.Manager().Transport() != "polling" {
				t.Error(s.Manager().Transport())
			}
			shutdown(t, s)
			time.Sleep(time.Minute)
		})
	})
}
