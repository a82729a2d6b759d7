package rescue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/rescue"
)

// A recursive value panics with itself when it is printed.
type recursive struct{}

func (r recursive) Error() string { panic(r) }

// An exiting value ends the goroutine that prints it.
type exiting struct{}

func (exiting) String() string { runtime.Goexit(); return "" }

// An opaque error has methods that panic.
type opaque struct{}

func (opaque) Error() string { panic("Error") }
func (opaque) Unwrap() error { panic("Unwrap") }
func (opaque) As(any) bool   { panic("As") }

func panics(v any) func() error { return func() error { panic(v) } }

func exits() error { runtime.Goexit(); return nil }

func TestApart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		f    func() error
		want string // of the error, "" for none
		as   error  // the error, if it is a certain one
	}{
		"nothing":                 {func() error { return nil }, "", nil},
		"an error":                {func() error { return io.EOF }, "EOF", io.EOF},
		"a panic":                 {panics("oh no"), "panic: oh no", nil},
		"a panic with an error":   {panics(io.EOF), "panic: EOF", nil},
		"a panic with nothing":    {panics(nil), "panic: panic called with nil argument", nil},
		"a panic with a bad text": {panics(recursive{}), "panic: (a rescue_test.recursive that cannot be printed)", nil},
		"a panic that exits":      {panics(exiting{}), "panic: (a rescue_test.exiting that cannot be printed)", nil},
		"an exit":                 {exits, rescue.ErrExited.Error(), rescue.ErrExited},
	} {
		err := rescue.Apart(tt.f)
		switch {
		case err == nil && tt.want == "":
		case err == nil || err.Error() != tt.want || tt.as != nil && !errors.Is(err, tt.as):
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
		panicked := strings.HasPrefix(tt.want, "panic")
		if rescue.Panicked(err) != panicked || strings.Contains(string(rescue.StackOf(err)), "rescue_test.go") != panicked {
			t.Errorf("%s: panicked %v, stack %s", name, rescue.Panicked(err), rescue.StackOf(err))
		}
		if broken := panicked || tt.as == rescue.ErrExited; rescue.Broken(err) != broken {
			t.Errorf("%s: broken %v", name, !broken)
		}
	}
}

func TestCallStaysOnItsGoroutine(t *testing.T) {
	t.Parallel()
	after := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = rescue.Call(panics("x")) // is survived
		_ = rescue.Call(exits)       // is not
		after = true
	}()
	<-done
	if after {
		t.Error("Call has returned from an exit")
	}
}

func TestDoCompletesOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		f       func() error
		want    string
		returns bool
	}{
		"error": {func() error { return io.EOF }, "EOF", true},
		"panic": {panics("x"), "panic: x", true},
		"exit":  {exits, rescue.ErrExited.Error(), false},
	} {
		errs, returned := make(chan error, 2), make(chan bool, 1)
		go func() {
			is := false
			defer func() { returned <- is }()
			rescue.Do(tt.f, func(err error) { errs <- err })
			is = true
		}()
		if is := <-returned; is != tt.returns {
			t.Errorf("%s: returned %v", name, is)
		}
		if err := <-errs; err.Error() != tt.want {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if len(errs) > 0 {
			t.Errorf("%s: completed twice", name)
		}
	}
}

func TestEachGoesOnBehindFailures(t *testing.T) {
	t.Parallel()
	var called []int
	var failed []string
	rescue.Each(5, func(i int) error {
		called = append(called, i)
		switch i {
		case 1:
			return io.EOF
		case 2:
			panic("x")
		case 4:
			return exits()
		}
		return nil
	}, func(i int, err error) { failed = append(failed, fmt.Sprint(i, " ", err)) })
	want := []string{"1 EOF", "2 panic: x", "4 " + rescue.ErrExited.Error()}
	if fmt.Sprint(called) != "[0 1 2 3 4]" || fmt.Sprint(failed) != fmt.Sprint(want) {
		t.Errorf("called %v, failed %q", called, failed)
	}
	rescue.Each(0, nil, nil)
}

func TestStackOfWhatIsWrapped(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("wrapped: %w", rescue.Apart(panics("x")))
	if rescue.StackOf(err) == nil || rescue.Panicked(err) {
		t.Error("no stack, or taken for the panic itself")
	}
	for _, err := range []error{nil, io.EOF, opaque{}, rescue.ErrExited} {
		if rescue.StackOf(err) != nil {
			t.Errorf("%T has a stack", err)
		}
	}
}

// A handler of logs fails in a method, or prints what it gets.
type handler struct {
	fails string
	how   func()
	lines *[]string
}

func (h handler) breaks(method string) {
	if h.fails == method {
		h.how()
	}
}

func (h handler) Enabled(context.Context, slog.Level) bool { h.breaks("Enabled"); return true }

func (h handler) Handle(_ context.Context, r slog.Record) error {
	h.breaks("Handle")
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text := fmt.Sprint(a.Value)
		if e, ok := a.Value.Any().(error); ok {
			text = e.Error() // as many handlers do it
		}
		line += " " + a.Key + "=" + text
		return true
	})
	*h.lines = append(*h.lines, line)
	return nil
}

func (h handler) WithAttrs([]slog.Attr) slog.Handler { h.breaks("WithAttrs"); return h }
func (h handler) WithGroup(string) slog.Handler      { h.breaks("WithGroup"); return h }

func TestLoggersThatFail(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Enabled", "Handle", "WithAttrs", "WithGroup", ""} {
		for way, how := range map[string]func(){"panic": func() { panic("x") }, "exit": runtime.Goexit} {
			var lines []string
			log := rescue.Logger(slog.New(handler{method, how, &lines}))
			log = rescue.Logger(log) // changes nothing
			log.Error("one")
			log.With(slog.Int("a", 1)).WithGroup("g").Error("two", slog.Int("n", 1))
			want := "[one two n=1]"
			if method == "Enabled" || method == "Handle" {
				want = "[]"
			}
			if got := fmt.Sprint(lines); got != want {
				t.Errorf("%s, %s: logged %s, want %s", method, way, got, want)
			}
		}
	}
}

func TestAttributesThatFailAreWords(t *testing.T) {
	t.Parallel()
	var lines []string
	log := rescue.Logger(slog.New(handler{"", nil, &lines}))
	log.Error("bad", slog.Int("n", 1), slog.Any("err", recursive{}), slog.Any("value", exiting{}), slog.String("s", "text"))
	want := "[bad n=1 err=(a rescue_test.recursive that cannot be printed) value=(a rescue_test.exiting that cannot be printed) s=text]"
	if got := fmt.Sprint(lines); got != want {
		t.Errorf("logged %s, want %s", got, want)
	}
}
