package fasthttpx //nolint:testpackage // it is about what is not exported

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

// A fakeListener has no descriptor for some time, and then a connection.
type fakeListener struct {
	err  error
	from time.Time // when it has a connection; zero for never

	once   sync.Once
	closed chan struct{}
}

func newFake(err error) *fakeListener { return &fakeListener{err: err, closed: make(chan struct{})} }

func (l *fakeListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	if !l.from.IsZero() && !time.Now().Before(l.from) {
		c, _ := net.Pipe()
		return c, nil
	}
	return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", l.err)}
}

func (l *fakeListener) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

func (l *fakeListener) Addr() net.Addr { return &net.TCPAddr{} }

// A process without descriptors ended, instead of waiting for one.
func TestListenerEndedForWantOfDescriptors(t *testing.T) {
	t.Parallel()
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ECONNABORTED} {
		synctest.Test(t, func(t *testing.T) {
			fake := newFake(err)
			fake.from = time.Now().Add(time.Minute)
			c, err := NewListener(fake).Accept()
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			if late := time.Since(fake.from); late < 0 || late > longestWait {
				t.Errorf("%v late", late)
			}
		})
	}
}

func TestListenerIsClosedWhileItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewListener(newFake(syscall.EMFILE))
		accepted := make(chan error)
		go func() { _, err := l.Accept(); accepted <- err }()
		time.Sleep(10 * time.Second)
		for range 2 {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		closed := time.Now()
		if err := <-accepted; !errors.Is(err, net.ErrClosed) || time.Since(closed) > 0 {
			t.Errorf("%v, after %v", err, time.Since(closed))
		}
	})
}

// What does not pass is for the caller.
func TestListenerThatIsBroken(t *testing.T) {
	t.Parallel()
	if _, err := NewListener(newFake(syscall.EINVAL)).Accept(); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

// Between two connections, a server waits for descriptors.
func TestServerWaitsForDescriptors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var states []fasthttp.ConnState
		free := time.Now().Add(150 * time.Second)
		g := &descriptorGate{
			most: func() int { return 64 },
			spare: func() error {
				if time.Now().Before(free) {
					return syscall.EMFILE
				}
				return nil
			},
			log:  slog.New(slog.NewTextHandler(&log, nil)),
			next: func(_ net.Conn, s fasthttp.ConnState) { states = append(states, s) },
		}
		conn, _ := net.Pipe() // there is no telling which descriptor it has
		g.connState(conn, fasthttp.StateActive)
		if time.Until(free) != 150*time.Second {
			t.Error("a request waited")
		}
		g.connState(conn, fasthttp.StateNew)
		if late := time.Since(free); late < 0 || late > longestWait {
			t.Errorf("%v late", late)
		}
		g.spare = func() error { return syscall.ENOSYS }
		g.connState(conn, fasthttp.StateNew) // nobody can know
		if n := strings.Count(log.String(), "ulimit -n"); n != 3 || len(states) != 3 {
			t.Errorf("logged %d times, states %v:\n%s", n, states, log.String())
		}
	})
}

// Asking for descriptors costs, and most processes have plenty of them.
func TestServerLooksForDescriptorsWhenThereMayBeFew(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	n, ok := descriptor(conn)
	if !ok {
		t.Fatal("a socket has a descriptor")
	}
	asked := 0
	g := &descriptorGate{most: func() int { return 1 << 20 }, spare: func() error { asked++; return nil }}
	for range 3 {
		g.connState(conn, fasthttp.StateNew)
	}
	if asked > 0 {
		t.Errorf("asked %d times", asked)
	}
	g.most = func() int { return n + 2*spareDescriptors }
	g.connState(conn, fasthttp.StateNew)
	g.most = func() int { return 1 << 20 } // a low one may be a gap among many
	g.connState(conn, fasthttp.StateNew)
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}
