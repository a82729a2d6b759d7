package fasthttpx

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// A Listener waits while the process has no descriptor for another connection, as
// net/http does. fasthttp ends then, and with it the program.
type Listener struct {
	net.Listener

	once   sync.Once
	closed chan struct{}
}

// NewListener returns a listener over ln.
func NewListener(ln net.Listener) *Listener {
	return &Listener{Listener: ln, closed: make(chan struct{})}
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	var wait backOff
	for {
		c, err := l.Listener.Accept()
		if err == nil || !passes(err) {
			return c, err
		}
		timer := time.NewTimer(wait.next())
		select {
		case <-timer.C:
		case <-l.closed:
			timer.Stop()
		}
	}
}

// Close implements [net.Listener].
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// passes reports whether an error says nothing about the listener: that there is no
// memory or descriptor now, or that a client has gone before it was accepted.
func passes(err error) bool {
	for _, temporary := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR,
	} {
		if errors.Is(err, temporary) {
			return true
		}
	}
	return false
}

const (
	shortestWait = 5 * time.Millisecond
	longestWait  = time.Second
)

// A backOff is how long to wait before the next attempt.
type backOff time.Duration

func (b *backOff) next() time.Duration {
	*b = min(max(2**b, backOff(shortestWait)), backOff(longestWait))
	return time.Duration(*b)
}
