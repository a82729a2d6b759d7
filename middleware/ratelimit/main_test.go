package ratelimit_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// maxWait is how long a test outside of a bubble waits for what has to happen
// before it fails instead of hanging.
const maxWait = time.Minute

// A logbook keeps what is logged, at any level.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// A network has a server in memory, and clients that come from where they say.
type network struct {
	siotest.Dialer

	srv *sio.Server
	log *logbook // of the server, and for limits
}

// bubble runs f in fake time. What is logged above Debug is a failure.
func bubble(t *testing.T, opts *sio.Options, f func(t *testing.T, n network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t, opts, func(tb testing.TB, h http.Handler) siotest.Dialer {
			tb.Helper()
			return siotest.Pipes(tb, h)
		})
		f(t, n)
	})
}

func newNetwork(tb testing.TB, opts *sio.Options, serve func(testing.TB, http.Handler) siotest.Dialer) network {
	tb.Helper()
	var o sio.Options
	if opts != nil {
		o = *opts
	}
	n := network{log: new(logbook)}
	o.Logger = n.log.logger()
	n.srv = sio.New(&o)
	n.Dialer = serve(tb, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from := r.Header.Get("Test-Address"); from != "" {
			r.RemoteAddr = from
		}
		n.srv.ServeHTTP(w, r)
	}))
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), maxWait)
		defer cancel()
		if err := n.srv.Shutdown(ctx); err != nil {
			tb.Errorf("shutdown: %v", err)
		}
		n.mustBeQuiet(tb)
	})
	return n
}

func (n network) mustBeQuiet(tb testing.TB) {
	tb.Helper()
	if s := n.log.String(); strings.Contains(s, "level=ERROR") || strings.Contains(s, "level=WARN") {
		tb.Errorf("a client made the server log above Debug:\n%s", s)
	}
}

// from returns the network as seen from an address.
func (n network) from(address string) network {
	if strings.Contains(address, ":") {
		address = "[" + address + "]"
	}
	n.Header = http.Header{"Test-Address": {address + ":1234"}}
	return n
}

// join connects to the root namespace.
func (n network) join(t *testing.T) *siotest.Peer {
	t.Helper()
	return n.Connect(t, "/", nil)
}

// answer is the handler of most events.
var answer = sio.Reply(func(*sio.Ctx, struct{}) (string, error) { return "ok", nil })

// allowed says how many of up to most events are acknowledged before one is
// refused.
func allowed(t *testing.T, p *siotest.Peer, event string, most int, args ...any) int {
	t.Helper()
	for n := range most {
		if err := p.Ask(event, args...).Err(); err != nil {
			return n
		}
	}
	return most
}

// refusals keeps what Observe is told.
type refusals struct {
	mu   sync.Mutex
	list []ratelimit.Refusal
}

func (r *refusals) observe(x ratelimit.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, x)
}

func (r *refusals) all() []ratelimit.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]ratelimit.Refusal(nil), r.list...)
}
