package rescue

import (
	"context"
	"log/slog"
	"reflect"
	"time"
)

// Logger returns a logger that writes to l. The handler of l and the methods of
// attributes may panic or end their goroutine. Then the record is logged once more, with
// its attributes as text.
func Logger(l *slog.Logger) *slog.Logger {
	h := l.Handler()
	if _, ok := h.(handler); ok {
		return l
	}
	return slog.New(wrap(h))
}

// A handler calls another one through the edge.
type handler struct {
	inner slog.Handler
	plain bool // its Enabled is that of package slog, which only compares numbers
}

func wrap(h slog.Handler) handler {
	t := reflect.TypeOf(h)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return handler{h, t.PkgPath() == "log/slog"}
}

// Enabled implements [slog.Handler].
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	if h.plain {
		return h.enabledHere(ctx, level)
	}
	return h.enabledApart(ctx, level)
}

// enabledHere allocates nothing. It is called for each record that clients can cause.
func (h handler) enabledHere(ctx context.Context, level slog.Level) (enabled bool) {
	_ = Call(func() error { // if it fails, nothing is logged
		enabled = h.inner.Enabled(ctx, level)
		return nil
	})
	return enabled
}

func (h handler) enabledApart(ctx context.Context, level slog.Level) (enabled bool) {
	_ = Apart(func() error { // if it fails, nothing is logged
		enabled = h.inner.Enabled(ctx, level)
		return nil
	})
	return enabled
}

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	var err error
	failed := Apart(func() error {
		err = h.inner.Handle(ctx, r.Clone())
		return nil
	})
	if failed == nil {
		return err
	}
	return Apart(func() error { return h.inner.Handle(ctx, inWords(r)) })
}

// inWords returns the record with attributes that have no methods.
func inWords(r slog.Record) slog.Record {
	w := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		switch v := a.Value.Any().(type) {
		case string, bool, int64, uint64, float64, time.Duration, time.Time:
			w.AddAttrs(a)
		default:
			w.AddAttrs(slog.String(a.Key, Text(v)))
		}
		return true
	})
	return w
}

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func() slog.Handler { return h.inner.WithAttrs(attrs) })
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler {
	return h.with(func() slog.Handler { return h.inner.WithGroup(name) })
}

func (h handler) with(f func() slog.Handler) slog.Handler {
	inner := h.inner
	_ = Apart(func() error { // if it fails, the attributes or the group are missing in records
		if with := f(); with != nil {
			inner = with
		}
		return nil
	})
	return wrap(inner)
}
