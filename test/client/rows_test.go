package client_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	sioclient "github.com/sioplug/sioplug/client"
)

// noWebSocket refuses what would become a WebSocket.
type noWebSocket struct{ refused *atomic.Int32 }

var errNoWebSocket = errors.New("the proxy lets no WebSocket through")

func (n noWebSocket) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Upgrade") != "" {
		n.refused.Add(1)
		return nil, errNoWebSocket
	}
	return http.DefaultTransport.RoundTrip(r)
}

func withoutWebSocket(t *testing.T) (*http.Client, *atomic.Int32) {
	t.Helper()
	refused := new(atomic.Int32)
	t.Cleanup(http.DefaultClient.CloseIdleConnections) // those of the transport below
	return &http.Client{Transport: noWebSocket{refused}}, refused
}

func each(t *testing.T, s settings, run func(t *testing.T, url string)) {
	t.Helper()
	for _, target := range targets() {
		t.Run(target.name, func(t *testing.T) { run(t, target.start(t, s)) })
	}
}

func TestCLI_TR_5_AProbeThatFails(t *testing.T) {
	each(t, settings{}, func(t *testing.T, url string) {
		o := sioclient.Options{Transports: []string{"polling", "websocket"}}
		o.HTTPClient, _ = withoutWebSocket(t)
		failed := make(chan error, 1)
		o.Hooks.Upgrade = func(err error) { failed <- err }
		s := connect(t, url, o)
		if err := wait(t, failed); !errors.Is(err, errNoWebSocket) {
			t.Error(err)
		}
		if v, err := sioclient.EmitWithAck[int](within(t), s, "echo", 1); v != 1 || err != nil || s.Manager().Transport() != "polling" {
			t.Error(v, err, s.Manager().Transport())
		}
	})
}

func TestCLI_TR_6_TryAllTransports(t *testing.T) {
	each(t, settings{}, func(t *testing.T, url string) {
		o := sioclient.Options{Transports: []string{"websocket", "polling"}, DisableReconnection: true}
		client, refused := withoutWebSocket(t)
		o.HTTPClient = client
		s := newSocket(t, url, o)
		if err := s.Connect(within(t)); !errors.Is(err, errNoWebSocket) || !strings.HasPrefix(err.Error(), "websocket error") {
			t.Error(err)
		}
		o.TryAllTransports = true
		failures := make(chan error, 10)
		o.Hooks.Error = func(err error) { failures <- err }
		s = connect(t, url, o)
		if s.Manager().Transport() != "polling" || len(failures) > 0 {
			t.Error(s.Manager().Transport())
		}
		before := refused.Load()
		s.Manager().Disconnect()
		if err := s.Connect(within(t)); err != nil || refused.Load() == before { // the list is full again
			t.Error(err)
		}
	})
}

// If all transports fail, the error comes at once.
func TestCLI_TR_7_AllTransportsFail(t *testing.T) {
	s := newSocket(t, "http://127.0.0.1:1", sioclient.Options{Transports: []string{"polling", "websocket"}, TryAllTransports: true, DisableReconnection: true})
	if err := s.Connect(within(t)); err == nil || !strings.HasPrefix(err.Error(), "websocket error") {
		t.Error(err)
	}
}

func TestCLI_TR_8_RememberUpgrade(t *testing.T) {
	each(t, settings{}, func(t *testing.T, url string) {
		for _, remember := range []bool{false, true} {
			upgraded := make(chan error, 10)
			o := sioclient.Options{Transports: []string{"polling", "websocket"}, RememberUpgrade: remember}
			o.Hooks.Upgrade = func(err error) { upgraded <- err }
			s := connect(t, url, o)
			if err := wait(t, upgraded); err != nil {
				t.Fatal(err)
			}
			if h := handshake(t, s); h.Query["transport"] != "polling" || h.Transport != "websocket" {
				t.Error(h.Query, h.Transport)
			}
			s.Manager().Disconnect()
			if err := s.Connect(within(t)); err != nil {
				t.Fatal(err)
			}
			want := map[bool]string{false: "polling", true: "websocket"}[remember]
			if h := handshake(t, s); h.Query["transport"] != want {
				t.Errorf("RememberUpgrade %t: the second connection began with %s", remember, h.Query["transport"])
			}
		}
	})
}

func TestCLI_TR_9_Transports(t *testing.T) {
	t.Parallel()
	for _, transports := range [][]string{{}, {"carrier pigeon"}, {"polling", "polling"}} {
		if _, err := sioclient.New("http://localhost", &sioclient.Options{Transports: transports}); err == nil {
			t.Errorf("%q: no error", transports)
		}
	}
}

func TestCLI_TR_10_AServerThatDoesNotPoll(t *testing.T) {
	each(t, settings{Transports: []string{"websocket"}}, func(t *testing.T, url string) {
		s := newSocket(t, url, sioclient.Options{Transports: []string{"polling"}, DisableReconnection: true})
		if err := s.Connect(within(t)); err == nil || !strings.Contains(err.Error(), "polling error: status 400") {
			t.Error(err)
		}
	})
}

func TestCLI_URL_2_BadURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"localhost:80", "//localhost", "ftp://localhost", "http://", "http://a b", "http://localhost/a,b", "\x00"} {
		if _, err := sioclient.New(url, nil); err == nil {
			t.Errorf("%q: no error", url)
		}
	}
	s, err := sioclient.New("https://localhost/a/b/#c", nil)
	if err != nil || s.Namespace() != "/a/b/" {
		t.Error(err)
	}
}

// Only the official server can be told to send garbage.
func TestCLI_EV_11_Garbage(t *testing.T) {
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			o := fast(w.o)
			s := newSocket(t, startJS(t, settings{}), o)
			lost, back := make(chan sioclient.Reason, 1), make(chan bool, 10)
			s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { lost <- r })
			s.OnConnect(func(*sioclient.Socket) { back <- true })
			if err := s.Connect(within(t)); err != nil {
				t.Fatal(err)
			}
			settle(t, s, o)
			wait(t, back)
			if err := s.Emit("garbage"); err != nil {
				t.Fatal(err)
			}
			if r := wait(t, lost); r != sioclient.ReasonParseError {
				t.Error(r)
			}
			wait(t, back)
		})
	}
}

func TestCLI_EV_12_AMessageThatIsTooLarge(t *testing.T) {
	each(t, settings{MaxPayload: 1000}, func(t *testing.T, url string) {
		for _, w := range ways() {
			o := w.o
			o.DisableReconnection = true
			s := connect(t, url, o)
			settle(t, s, o)
			ctx := s.Context()
			if err := s.Emit("item", 1, strings.Repeat("x", 2000)); err != nil {
				t.Fatal(err)
			}
			wait(t, ctx.Done())
			if s.Connected() || s.Active() {
				t.Error("the socket is connected")
			}
		}
	})
}
