// Package enginetest lets tests talk to an [engine.Server] in memory, so that
// they can run in a synctest bubble with exact time, or over a loopback
// network; request by request and frame by frame. There is no client in between that
// would correct mistakes that a test makes on purpose.
package enginetest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/engine"
)

// A Kit is a server whose sessions and log a test can look at. At the end of
// the test it hangs up on everybody, shuts the server down, waits for all that
// it started, and fails the test if the server logged anything above Debug that
// [Log.Loud] did not take: peers must not be able to cause that.
type Kit struct {
	*engine.Server

	Log *Log

	// OnMessage, if set, is told the messages of all sessions after they were
	// recorded. It must be set before there are any.
	OnMessage func(p *Peer, binary bool, data []byte)

	// Work, if set, makes the handler an [engine.Worker] that calls it.
	Work func(p *Peer)

	// Quick is what the worker expects of all its calls: see [engine.Worker].
	Quick bool

	// Finished, if set, makes the handler an [engine.Finisher] that calls it.
	Finished func(p *Peer) bool

	t       testing.TB
	running sync.WaitGroup

	mu    sync.Mutex
	peers []*Peer
	calls []*Call
	conns []*Conn
	web   *httptest.Server
}

// New returns a kit around a server with these options, whose logger it
// replaces.
func New(tb testing.TB, opts engine.Options) *Kit {
	tb.Helper()
	k := &Kit{t: tb, Log: new(Log)}
	opts.Logger = slog.New(k.Log)
	k.Server = engine.NewServer(opts, k.open)
	tb.Cleanup(k.close)
	return k
}

func (k *Kit) open(s *engine.Session) engine.Handler {
	p := &Peer{Session: s, kit: k, ended: make(chan struct{})}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.peers = append(k.peers, p)
	switch {
	case k.Work != nil:
		return worker{p}
	case k.Finished != nil:
		return finisher{p}
	default:
		return p
	}
}

type worker struct{ *Peer }

// Work implements [engine.Worker].
func (w worker) Work(uint32) { w.kit.Work(w.Peer) }

// Quick implements [engine.Worker].
func (w worker) Quick() bool { return w.kit.Quick }

type finisher struct{ *Peer }

// Finished implements [engine.Finisher].
func (f finisher) Finished() bool { return f.kit.Finished(f.Peer) }

func (k *Kit) close() {
	k.CloseAll()
	k.mu.Lock()
	calls, web := k.calls, k.web
	k.mu.Unlock()
	for _, c := range calls {
		c.Abort()
	}
	_ = k.Shutdown(context.Background()) // without a deadline it cannot fail
	if web != nil {
		web.Close()
	}
	k.running.Wait()
	for _, line := range k.Log.Loud() {
		k.t.Errorf("logged above Debug: %s", line)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns, k.calls, k.peers = nil, nil, nil // a test may look at what else holds a session
}

// CloseAll closes all WebSocket connections at the clients' ends.
func (k *Kit) CloseAll() {
	k.mu.Lock()
	conns := k.conns
	k.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// Go runs f on a goroutine that the end of the test waits for.
func (k *Kit) Go(f func()) { k.running.Go(f) }

// Peer returns the session with this id as its handler saw it.
func (k *Kit) Peer(sid string) *Peer {
	k.t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.peers {
		if p.Session.ID() == sid {
			return p
		}
	}
	k.t.Fatalf("no session %q", sid)
	return nil
}

// LastPeer returns the session that was opened last, nil if there was none.
func (k *Kit) LastPeer() *Peer {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.peers) == 0 {
		return nil
	}
	return k.peers[len(k.peers)-1]
}

// A Peer records the calls of one session's handler.
type Peer struct {
	Session *engine.Session

	kit   *Kit
	ended chan struct{}

	mu       sync.Mutex
	messages []string
	ends     []End
}

// An End is a call of [engine.Handler.Close].
type End struct {
	Reason engine.Reason
	Err    error
	At     time.Time
}

// Message implements [engine.Handler].
func (p *Peer) Message(binary bool, data []byte) {
	p.mu.Lock()
	p.messages = append(p.messages, spell(binary, data))
	p.mu.Unlock()
	if p.kit.OnMessage != nil {
		p.kit.OnMessage(p, binary, data)
	}
}

// spell writes text as it is and binary in a way that no test uses as text.
func spell(binary bool, data []byte) string {
	if binary {
		return fmt.Sprintf("<%x>", data)
	}
	return string(data)
}

// Close implements [engine.Handler].
func (p *Peer) Close(reason engine.Reason, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends = append(p.ends, End{reason, err, time.Now()})
	if len(p.ends) == 1 {
		close(p.ended)
	}
}

// Messages returns what came so far: text as it is, binary as <hex>.
func (p *Peer) Messages() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.messages...)
}

// Open reports whether the session has not ended.
func (p *Peer) Open() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ends) == 0
}

// End waits until the session has ended and returns how; it fails the test if
// that was told twice.
func (p *Peer) End() End {
	p.kit.t.Helper()
	<-p.ended
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ends) != 1 {
		p.kit.t.Errorf("session ended %d times: %v", len(p.ends), p.ends)
	}
	return p.ends[0]
}

// Send sends a text message, and fails the test if that is not possible.
func (p *Peer) Send(text string) {
	p.kit.t.Helper()
	if err := p.Session.SendMessage(false, []byte(text)); err != nil {
		p.kit.t.Errorf("sending %.20q: %v", text, err)
	}
}

// SendBinary is Send for a binary message.
func (p *Peer) SendBinary(data string) {
	p.kit.t.Helper()
	if err := p.Session.SendMessage(true, []byte(data)); err != nil {
		p.kit.t.Errorf("sending binary: %v", err)
	}
}

// Echo is an OnMessage that sends every message back.
func Echo(p *Peer, binary bool, data []byte) {
	_ = p.Session.SendMessage(binary, data) // the test sees what is missing
}

// A Log is a [slog.Handler] that keeps what is above Debug.
type Log struct {
	mu   sync.Mutex
	loud []string
}

// Enabled implements [slog.Handler].
func (l *Log) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements [slog.Handler].
func (l *Log) Handle(_ context.Context, r slog.Record) error {
	text := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	if r.Level > slog.LevelDebug {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.loud = append(l.loud, text)
	}
	return nil
}

// WithAttrs implements [slog.Handler].
func (l *Log) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements [slog.Handler].
func (l *Log) WithGroup(string) slog.Handler { return l }

// Loud returns everything above Debug, and forgets it.
func (l *Log) Loud() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	loud := l.loud
	l.loud = nil
	return loud
}

// Broken returns a body that ends with an error behind the text.
func Broken(text string) io.Reader {
	return io.MultiReader(strings.NewReader(text), failing{io.ErrUnexpectedEOF})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
