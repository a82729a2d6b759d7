package engine_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// A router is a SessionRouter whose parts a test can replace.
type router struct {
	newID   func() string
	forward func(ctx context.Context, x engine.Exchange, upgrade bool) error
	close   func(ctx context.Context) error
	find    func(sid string)

	serve func(ctx context.Context, x engine.Exchange)

	mu     sync.Mutex
	asked  []string // ids that Route was called with
	closed int
}

func (r *router) Start(_ engine.Options, serve func(ctx context.Context, x engine.Exchange)) {
	r.serve = serve
}

func (r *router) NewID() string {
	if r.newID != nil {
		return r.newID()
	}
	return "here" + engine.NewID()[4:]
}

func (r *router) Route(sid string) engine.Route {
	r.mu.Lock()
	r.asked = append(r.asked, sid)
	r.mu.Unlock()
	if r.find != nil {
		r.find(sid)
	}
	if !strings.HasPrefix(sid, "there") {
		return nil
	}
	return r
}

func (r *router) Forward(ctx context.Context, x engine.Exchange, upgrade bool) error {
	return r.forward(ctx, x, upgrade)
}

func (r *router) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed++
	r.mu.Unlock()
	if r.close != nil {
		return r.close(ctx)
	}
	return nil
}

const there = "EIO=4&transport=polling&sid=there"

// The router is asked for sessions that this server does not have, and for nothing else.
func TestSessionRouterIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(router)
		k := enginetest.New(t, engine.Options{SessionRouter: r})
		opened := k.Do(enginetest.Request{Query: "EIO=4&transport=polling"})
		sid := k.LastPeer().Session.ID()
		if opened.Status != http.StatusOK || !strings.HasPrefix(sid, "here") {
			t.Fatalf("%+v", opened)
		}
		k.Do(enginetest.Request{Method: http.MethodPost, Query: "EIO=4&transport=polling&sid=" + sid, Body: strings.NewReader("4hello")})
		if len(r.asked) != 0 {
			t.Errorf("asked for %q", r.asked)
		}
		unknown := k.Do(enginetest.Request{Query: "EIO=4&transport=polling&sid=nobody"})
		if unknown.Status != http.StatusBadRequest || !strings.Contains(unknown.Body, `"code":1`) {
			t.Errorf("%+v", unknown)
		}
		refused := k.Do(enginetest.Request{Query: "EIO=4&transport=carrier-pigeon&sid=there"})
		if refused.Status != http.StatusBadRequest || !slices.Equal(r.asked, []string{"nobody"}) {
			t.Errorf("%+v, asked for %q", refused, r.asked)
		}
		method := k.Do(enginetest.Request{Method: http.MethodDelete, Query: there})
		if method.Status != http.StatusMethodNotAllowed {
			t.Errorf("%+v", method)
		}
		bad := k.Do(enginetest.Request{Query: strings.Replace(there, "polling", "websocket", 1), Header: http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"99"},
		}})
		if bad.Status != http.StatusBadRequest && bad.Status != http.StatusUpgradeRequired {
			t.Errorf("%+v", bad)
		}
	})
}

// The result of Forward decides the answer.
func TestResultsOfForward(t *testing.T) {
	for name, tt := range map[string]struct {
		forward func(ctx context.Context, x engine.Exchange, upgrade bool) error
		status  int
		body    string
	}{
		"an answer": {func(_ context.Context, x engine.Exchange, _ bool) error {
			return x.Respond(engine.Response{Status: http.StatusOK, Header: http.Header{"X-There": {"1"}}, Body: []byte("6")})
		}, http.StatusOK, "6"},
		"no session": {func(context.Context, engine.Exchange, bool) error { return engine.ErrNoSession }, http.StatusBadRequest, `{"code":1,"message":"Session ID unknown"}`},
		"a status":   {func(context.Context, engine.Exchange, bool) error { return &engine.HTTPError{Status: 503} }, http.StatusServiceUnavailable, ""},
		"no status":  {func(context.Context, engine.Exchange, bool) error { return &engine.HTTPError{Message: "secret"} }, http.StatusBadGateway, ""},
		"any error":  {func(context.Context, engine.Exchange, bool) error { return errors.New("secret") }, http.StatusBadGateway, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := enginetest.New(t, engine.Options{
					SessionRouter: &router{forward: tt.forward},
					UseRequest: []func(http.Header, *engine.Request) error{func(h http.Header, _ *engine.Request) error {
						h.Set("X-Here", "1")
						return nil
					}},
				})
				a := k.Do(enginetest.Request{Query: there})
				if a.Status != tt.status || a.Body != tt.body || a.Header.Get("X-Here") != "1" {
					t.Errorf("%+v", a)
				}
				if tt.status == http.StatusOK && a.Header.Get("X-There") != "1" {
					t.Errorf("%+v", a)
				}
			})
		})
	}
}

// A connection that cannot be taken over is refused as that of an own session.
func TestUpgradeOfAForwardedRequestFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := enginetest.New(t, engine.Options{SessionRouter: &router{
			forward: func(_ context.Context, x engine.Exchange, upgrade bool) error {
				if !upgrade {
					t.Error("it is no upgrade")
				}
				return x.Upgrade(nil, func(engine.Upgraded) func() { return func() {} })
			},
		}})
		a := k.Do(enginetest.Request{
			Query: strings.Replace(there, "polling", "websocket", 1), Header: enginetest.Handshake(), UpgradeErr: errors.New("no way"),
		})
		if a.Status != http.StatusInternalServerError || len(k.Log.Loud()) != 1 {
			t.Errorf("%+v", a)
		}
	})
}

// A request that another server has forwarded was let in there. It opens nothing, and goes no
// further.
func TestServeForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(router)
		used := 0
		k := enginetest.New(t, engine.Options{
			SessionRouter: r, CORS: &engine.CORS{Origins: []string{"http://a.example"}},
			UseRequest: []func(http.Header, *engine.Request) error{func(http.Header, *engine.Request) error {
				used++
				return nil
			}},
		})
		k.Do(enginetest.Request{Query: "EIO=4&transport=polling"})
		sid := k.LastPeer().Session.ID()
		k.LastPeer().Send("hello")
		used = 0
		for query, want := range map[string]string{
			"EIO=4&transport=polling&sid=" + sid: "4hello",
			there:                                `{"code":1,"message":"Session ID unknown"}`,
			"EIO=4&transport=polling":            `{"code":1,"message":"Session ID unknown"}`,
		} {
			c := &recorded{Call: k.Prepare(enginetest.Request{Query: query, Header: http.Header{"Origin": {"http://b.example"}}})}
			r.serve(t.Context(), c)
			a := c.answers
			if len(a) != 1 || string(a[0].Body) != want || a[0].Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %+v", query, a)
			}
		}
		if used != 0 || k.ClientsCount() != 1 || len(r.asked) != 0 {
			t.Errorf("middleware ran %d times, %d sessions, asked for %q", used, k.ClientsCount(), r.asked)
		}
	})
}

// recorded is a request that remembers its answers.
type recorded struct {
	*enginetest.Call

	answers []engine.Response
}

func (r *recorded) Respond(res engine.Response) error {
	r.answers = append(r.answers, res)
	return nil
}

// Whatever method of a router fails, requests are answered, and Shutdown returns.
func TestSessionRoutersThatFail(t *testing.T) {
	for way, fail := range ways() {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &router{
					newID:   func() string { fail(); return "" },
					forward: func(context.Context, engine.Exchange, bool) error { fail(); return nil },
					close:   func(context.Context) error { fail(); return nil },
				}
				k := enginetest.New(t, engine.Options{SessionRouter: r})
				a := k.Do(enginetest.Request{Query: "EIO=4&transport=polling"})
				if a.Status != http.StatusBadRequest || k.ClientsCount() != 0 {
					t.Errorf("NewID: %+v", a)
				}
				k.Do(enginetest.Request{Query: there})
				r.find = func(string) { fail() }
				k.Do(enginetest.Request{Query: there})
				if err := k.Shutdown(t.Context()); err != nil || r.closed != 1 {
					t.Errorf("%v, closed %d times", err, r.closed)
				}
				synctest.Wait() // a request whose goroutine has ended is finished on another one
				if loud := k.Log.Loud(); len(loud) != 4 {
					t.Errorf("logged %q", loud)
				}
				r.close = nil
			})
		})
	}
}

// Shutdown does not wait for a router that hangs.
func TestSessionRouterThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		k := enginetest.New(t, engine.Options{SessionRouter: &router{close: func(context.Context) error { <-release; return nil }}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := k.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(release)
	})
}

func TestSessionRouterMakesTheIDs(t *testing.T) {
	o := engine.Options{SessionRouter: new(router), GenerateID: func(*engine.Request) (string, error) { return "", nil }}
	if err := o.Validate(); err == nil {
		t.Error("both GenerateID and SessionRouter are accepted")
	}
}
