package sessiontest_test

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// namespaces are those that programs name. The last one is made by its clients and
// ends with them; the server refuses one more.
func namespaces() []string { return []string{"/", "/a", "/d1", "/none"} }

// newServer returns the server under test, whose handlers tell the model.
func newServer(m *model, log *logbook, v variant) *sio.Server {
	opts := sio.Options{
		MaxHTTPBufferSize: maxMessage, MaxSendBuffer: maxSendBuffer,
		MaxPendingEvents: maxPendingEvents, MaxPendingBytes: maxPendingBytes,
		MaxNamespaces: maxNamespaces, MaxAttachments: maxAttachments,
		AllowEIO3: v.old, CleanupEmptyChildNamespaces: true,
		Logger: slog.New(log),
	}
	if v.recovery {
		opts.ConnectionStateRecovery = &sio.Recovery{}
	}
	srv := sio.New(&opts)
	for _, ns := range []*sio.Namespace{srv.Of("/"), srv.Of("/a"), srv.OfRegexp(regexp.MustCompile(`^/d[0-9]$`))} {
		connecting(ns, m)
		events(ns, m)
	}
	return srv
}

// connecting is what happens to those who come and go.
func connecting(ns *sio.Namespace, m *model) {
	ns.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var auth struct {
			Refuse bool
			Wait   int
		}
		if err := c.Bind(&auth); err != nil {
			return err
		}
		wait(c.Context(), auth.Wait)
		if auth.Refuse {
			return &sio.Error{Message: "refused"}
		}
		return nil
	}))
	ns.OnConnect(func(c *sio.Ctx) error {
		m.accept(c.Socket)
		return nil
	})
	ns.OnDisconnect(func(s *sio.Socket, _ sio.Reason) { m.end(s) })
}

// wait lets some fake milliseconds pass, or fewer if the context ends.
func wait(ctx context.Context, milliseconds int) {
	if milliseconds <= 0 {
		return
	}
	select {
	case <-time.After(min(time.Duration(milliseconds)*time.Millisecond, time.Minute)):
	case <-ctx.Done():
	}
}

// events are what clients can cause. Each has a number first, and one more.
func events(ns *sio.Namespace, m *model) {
	on := func(name string, f func(c *sio.Ctx, number, size int) error) {
		ns.On(name, func(c *sio.Ctx) error {
			var number, size int
			if err := c.Bind(&number, &size); err != nil {
				return err
			}
			if number = decodeNumber(number); number < 0 {
				return nil // garbage, and well made
			}
			m.handle(c.Socket, number)
			return f(c, number, min(size, maxEmitted-200))
		})
	}
	emit := func(c *sio.Ctx, number int, more any) error {
		err := c.Emit("back", encodeNumber(number), more)
		if err == nil {
			m.emit(c.Socket, number)
		}
		return nil // that the client has gone, or is too slow, is no news
	}
	on("number", func(c *sio.Ctx, number, _ int) error {
		if c.WantsAck() {
			return c.Ack(number)
		}
		return nil
	})
	on("slow", func(*sio.Ctx, int, int) error { <-time.After(time.Second); return nil })
	on("echo", func(c *sio.Ctx, number, size int) error { return emit(c, number, strings.Repeat("x", max(size, 0))) })
	on("bytes", func(c *sio.Ctx, number, size int) error { return emit(c, number, make([]byte, max(size, 0))) })
	on("maybe", func(c *sio.Ctx, number, _ int) error { return c.EmitVolatile("maybe", number) })
	on("kick", func(c *sio.Ctx, _, _ int) error { return c.Disconnect() })
	on("close", func(c *sio.Ctx, _, _ int) error { return c.Close() })
	on("panic", func(*sio.Ctx, int, int) error { panic(expected) })
	on("ask", func(c *sio.Ctx, _, _ int) error {
		ctx, cancel := context.WithTimeout(c.Context(), 3*time.Second)
		defer cancel()
		_, err := c.EmitWithAck(ctx, "question")
		if err != nil {
			return &sio.Error{Message: "no answer"}
		}
		return nil
	})
	on("room", func(c *sio.Ctx, number, size int) error {
		_ = c.Join("room") // or it has left meanwhile
		_ = ns.To("room").Emit("all", number, strings.Repeat("x", max(size, 0)))
		return nil
	})
	on("leave", func(c *sio.Ctx, _, _ int) error {
		_ = c.Leave("room")
		return nil
	})
}

// expected is in the log where the server says so of a panic in a handler.
const expected = "a panic that the program asked for"

// A logbook keeps what was logged above Debug, and should not have been.
type logbook struct {
	mu   sync.Mutex
	loud []string
}

func (*logbook) Enabled(_ context.Context, level slog.Level) bool { return level > slog.LevelDebug }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	if strings.Contains(line, expected) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loud = append(l.loud, line)
	return nil
}

func (l *logbook) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *logbook) WithGroup(string) slog.Handler      { return l }

func (l *logbook) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.loud {
		t.Errorf("logged above Debug: %s", line)
	}
}
