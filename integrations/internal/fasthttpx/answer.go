package fasthttpx

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// An answer is the body of one, which fasthttp writes when all handlers have
// returned. As a stream it knows when that is, and can limit how long it takes.
//
// Middleware that reads what it takes for a body has it in fasthttp's memory
// then, and it counts as sent.
type answer struct {
	bytes.Reader

	conn net.Conn
	own  time.Duration // how long fasthttp gives it; 0: any time

	mu      sync.Mutex
	until   time.Time // when it has to have left; zero: whenever
	sending bool
	limited bool            // there is a deadline that is ours
	sent    func(err error) // nil, or called once it has left or never will
}

// sendWithin has the answer given up unless it has left within d.
func (a *answer) sendWithin(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	until := time.Now().Add(d)
	if !a.until.IsZero() && a.until.Before(until) {
		return
	}
	a.until = until
	if a.sending {
		a.limit()
	}
}

// limit sets the deadline; mu is held.
func (a *answer) limit() {
	a.limited = a.conn.SetWriteDeadline(a.until) == nil // it fails if the connection is closed
}

// WriteTo implements [io.WriterTo]. It leaves nothing in fasthttp's buffer, whose
// flush would have no limit.
func (a *answer) WriteTo(w io.Writer) (int64, error) {
	out, ok := w.(interface{ Flush() error })
	if ok {
		a.begin()
	}
	n, err := a.Reader.WriteTo(w)
	if ok && err == nil {
		err = out.Flush()
	}
	a.end(err)
	return n, err
}

func (a *answer) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sending = true
	set := !a.until.IsZero()
	if a.own > 0 { // fasthttp has just set its deadline
		if until := time.Now().Add(a.own); !set || until.Before(a.until) {
			a.until, set = until, false
		}
	}
	if set {
		a.limit()
	}
}

// end lifts the limit, which is not for the next answer on the connection.
func (a *answer) end(err error) {
	a.mu.Lock()
	sent := a.sent
	a.sent = nil
	a.mu.Unlock()
	if sent != nil {
		sent(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sending = false
	if a.limited && err == nil {
		_ = a.conn.SetWriteDeadline(time.Time{}) // it fails if the connection is closed
	}
	a.limited = false
}

// Close implements [io.Closer]. fasthttp calls it in any case, also if it could not write
// the header.
func (a *answer) Close() error {
	var err error
	if a.Len() > 0 {
		err = errNotWritten
	}
	a.end(err)
	return nil
}

// errNotWritten is why an answer was not sent that fasthttp has not asked for.
var errNotWritten = errors.New("fasthttp could not write the answer")
