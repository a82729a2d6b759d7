package ratelimit_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// request makes a request by hand, and returns the status and Retry-After.
func (n network) request(t *testing.T, method string, params ...string) (status int, retry string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, n.Endpoint(params...), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return n.do(t, req)
}

func (n network) do(t *testing.T, req *http.Request) (status int, retry string) {
	t.Helper()
	res, err := n.HTTP(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Retry-After")
}

func limitHandshakes(f func(http.Header, *sio.Request) error) *sio.Options {
	return &sio.Options{UseRequest: []func(http.Header, *sio.Request) error{f}}
}

// handshakes makes a server that limits them, inside of the bubble.
func handshakes(t *testing.T, per int, opts []ratelimit.Option, f func(t *testing.T, n network)) {
	t.Helper()
	var limit func(http.Header, *sio.Request) error
	bubble(t, limitHandshakes(func(h http.Header, r *sio.Request) error { return limit(h, r) }),
		func(t *testing.T, n network) {
			limit = ratelimit.Handshakes(per, time.Minute, opts...)
			f(t, n)
		})
}

func TestHandshakesAtTheLimitAndOnePast(t *testing.T) {
	t.Parallel()
	var seen refusals
	handshakes(t, 3, []ratelimit.Option{ratelimit.Observe(seen.observe)}, func(t *testing.T, n network) {
		n.srv.On("hello", answer)
		here, there := n.from("192.0.2.1"), n.from("192.0.2.2")
		here.WebSocket(t)
		p := here.Polling(t)
		u := here.Polling(t)
		if status, retry := here.request(t, http.MethodGet, "EIO", "4", "transport", "polling"); status != 429 || retry != "20" {
			t.Errorf("one past the limit, by polling: %d, Retry-After %q", status, retry)
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, here.Endpoint("EIO", "4", "transport", "websocket"), http.NoBody)
		req.Header = http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		if status, retry := here.do(t, req); status != 429 || retry != "20" {
			t.Errorf("one past the limit, by WebSocket: %d, Retry-After %q", status, retry)
		}
		there.WebSocket(t)

		// What is open goes on: polls, POSTs and upgrades are not counted.
		p.Connect("/", "")
		for range 10 {
			p.Send(`421["hello"]`)
			p.Want(`431["ok"]`)
		}
		u.Upgrade()
		u.Connect("/", "")

		time.Sleep(20 * time.Second)
		here.WebSocket(t)
		want := ratelimit.Refusal{Limit: "handshakes", Key: "192.0.2.1", RetryAfter: 20 * time.Second}
		if diff := cmp.Diff([]ratelimit.Refusal{want, want}, seen.all()); diff != "" {
			t.Error(diff)
		}
	})
}

// The server goes by the last of several session ids, so a first one that is made
// up must not make a handshake look like something else.
func TestHandshakesCannotBeHiddenBehindASessionID(t *testing.T) {
	t.Parallel()
	handshakes(t, 1, nil, func(t *testing.T, n network) {
		n.WebSocket(t)
		for _, sids := range [][]string{{""}, {"made up", ""}, {"a", "b", ""}} {
			u, err := url.Parse(n.Endpoint("EIO", "4", "transport", "polling"))
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			q["sid"] = sids
			u.RawQuery = q.Encode()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.String(), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if status, _ := n.do(t, req); status != 429 {
				t.Errorf("sid=%q: status %d, want 429", sids, status)
			}
		}
		// With a session id that does not exist, nothing is opened, and so nothing counted.
		for range 3 {
			if status, _ := n.request(t, http.MethodGet, "EIO", "4", "transport", "polling", "sid", "made up"); status != 400 {
				t.Errorf("unknown session: status %d, want 400", status)
			}
		}
	})
}

func TestHandshakesOfANetwork(t *testing.T) {
	t.Parallel()
	handshakes(t, 1, []ratelimit.Option{ratelimit.Burst(2), ratelimit.IPv6Prefix(56)}, func(t *testing.T, n network) {
		n.from("2001:db8::1").WebSocket(t)
		n.from("2001:db8:0:ff::1").WebSocket(t)
		if status, retry := n.from("2001:db8::3").request(t, http.MethodGet, "EIO", "4", "transport", "polling"); status != 429 || retry != "60" {
			t.Errorf("%d, Retry-After %q", status, retry)
		}
		n.from("2001:db8:0:100::1").WebSocket(t)
	})
}

func TestPreflightIsNoHandshake(t *testing.T) {
	t.Parallel()
	limit := ratelimit.Handshakes(1, time.Minute)
	for range 3 {
		if err := limit(http.Header{}, &sio.Request{Method: http.MethodOptions, ClientIP: "192.0.2.1"}); err != nil {
			t.Error(err)
		}
	}
}

func TestHandshakesWithALimiterThatFails(t *testing.T) {
	t.Parallel()
	var seen refusals
	handshakes(t, 1, []ratelimit.Option{
		ratelimit.In(broken{}, "opening"), ratelimit.Observe(seen.observe), ratelimit.Logger(slog.New(slog.DiscardHandler)),
	}, func(t *testing.T, n network) {
		if status, retry := n.from("192.0.2.1").request(t, http.MethodGet, "EIO", "4", "transport", "polling"); status != 503 || retry != "" {
			t.Errorf("%d, Retry-After %q", status, retry)
		}
		if r := seen.all(); len(r) != 1 || r[0].Err == nil || r[0].Limit != "opening" || r[0].Key != "192.0.2.1" {
			t.Errorf("observed %+v", r)
		}
	})
}

func TestHandshakesShareALimiter(t *testing.T) {
	t.Parallel()
	m := ratelimit.NewMemory(0)
	a, b := ratelimit.Handshakes(1, time.Minute, ratelimit.In(m, "x")), ratelimit.Handshakes(1, time.Minute, ratelimit.In(m, "x"))
	r := &sio.Request{Method: http.MethodGet, ClientIP: "192.0.2.1"}
	if err := a(http.Header{}, r); err != nil {
		t.Error(err)
	}
	h := http.Header{}
	if err := b(h, r); err == nil || h.Get("Retry-After") != "60" {
		t.Errorf("%v, %v", err, h)
	}
}
