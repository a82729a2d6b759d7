package sioadmin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	sioadmin "github.com/sioplug/sioplug/admin"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	username = "admin"
	password = "open sesame"
)

var hash = sync.OnceValue(func() string { return hashOf(password) })

// hashOf returns a hash that is cheap, because many tests sign in.
func hashOf(password string) string {
	b, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// options are those of most tests.
func options(mode sioadmin.Mode) sioadmin.Options {
	return sioadmin.Options{Username: username, PasswordHash: hash(), Mode: mode, ServerID: "one"}
}

// A logbook keeps what is logged above Debug.
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

// A world is an instrumented server in fake time.
type world struct {
	srv   *sio.Server
	admin *sioadmin.Admin
	d     siotest.Dialer
	log   *logbook
}

// bubble runs f with a server that must not log above Debug.
func bubble(t *testing.T, opts sioadmin.Options, f func(t *testing.T, w *world)) {
	t.Helper()
	bubbleWith(t, sio.Options{}, opts, func(t *testing.T, w *world) {
		t.Cleanup(func() {
			if s := w.log.String(); s != "" {
				t.Errorf("logged above Debug:\n%s", s)
			}
		})
		f(t, w)
	})
}

func bubbleWith(t *testing.T, so sio.Options, opts sioadmin.Options, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWorld(t, so, opts)) })
}

func newWorld(t *testing.T, so sio.Options, opts sioadmin.Options) *world {
	t.Helper()
	w := &world{log: new(logbook)}
	so.Logger = slog.New(slog.NewTextHandler(w.log, nil))
	w.srv = sio.New(&so)
	w.d = siotest.Pipes(t, w.srv)
	t.Cleanup(func() { must(t, w.srv.Shutdown(context.Background())) })
	var err error
	w.admin, err = sioadmin.Instrument(w.srv, opts)
	must(t, err)
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// credentials are the auth payload of the UI's dialog.
func credentials(username, password string) string {
	return fmt.Sprintf(`{"username":%q,"password":%q}`, username, password)
}

// A page is the UI in somebody's browser.
type page struct {
	*siotest.Client

	t    *testing.T
	head string
	id   string // of its socket
}

// open connects with an auth payload that is accepted.
func (w *world) open(t *testing.T, auth string) *page {
	t.Helper()
	p := &page{Client: w.d.WebSocket(t), t: t, head: "42/admin,"}
	p.id = p.Connect("/admin", auth)
	return p
}

// signIn returns a page that has got everything that comes after a sign-in.
func (w *world) signIn(t *testing.T) *page {
	t.Helper()
	p := w.open(t, credentials(username, password))
	p.await("config")
	p.next() // the first numbers
	return p
}

// An event is one that the page gets.
type event struct {
	name string
	args []any
}

func (p *page) next() event {
	p.t.Helper()
	got := p.Next()
	data, ok := strings.CutPrefix(got, p.head)
	var list []any
	if err := json.Unmarshal([]byte(data), &list); !ok || err != nil {
		p.t.Fatalf("the page got %q", got)
	}
	return event{fmt.Sprint(list[0]), list[1:]}
}

// nextState returns the next event that is not about numbers.
func (p *page) nextState() event {
	p.t.Helper()
	for range manyStats {
		if e := p.next(); e.name != "server_stats" {
			return e
		}
	}
	p.t.Fatal("the page gets nothing but numbers")
	return event{}
}

// manyStats are sent in a minute and a half of fake time.
const manyStats = 45

// await returns the arguments of the next event of that name, and skips others.
func (p *page) await(name string) []any {
	p.t.Helper()
	var e event
	for e.name != name {
		if e = p.next(); e.name != name && e.name == "server_stats" {
			e = p.nextState()
		}
	}
	return e.args
}

// send sends an event of the UI.
func (p *page) send(name string, args ...any) {
	p.t.Helper()
	data, err := json.Marshal(append([]any{name}, args...))
	must(p.t, err)
	p.Send(p.head + string(data))
}

// String gives the event without dates, and sockets by their ids.
func (e event) String() string {
	words := []string{e.name}
	for _, a := range e.args {
		switch a := a.(type) {
		case string:
			if _, err := time.Parse(time.RFC3339, a); err == nil {
				a = "DATE"
			}
			words = append(words, a)
		case map[string]any:
			if id, ok := a["handshake"]; ok && id != nil {
				words = append(words, fmt.Sprint("{", a["id"], " ", a["transport"], " ", a["nsp"], " ", a["data"], " ", a["rooms"], "}"))
				continue
			}
			words = append(words, fmt.Sprint(a))
		default:
			words = append(words, fmt.Sprint(a))
		}
	}
	return strings.Join(words, " ")
}

// want fails unless these are the next events that are not about numbers.
func (p *page) want(events ...string) {
	p.t.Helper()
	for i, want := range events {
		if got := p.nextState().String(); got != want {
			p.t.Fatalf("event %d of %d is\n  %s\nwant\n  %s", i+1, len(events), got, want)
		}
	}
}

// field returns a member of nested objects.
func field(v any, names ...string) any {
	for _, name := range names {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}
