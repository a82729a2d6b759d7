package siotel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	siotel "github.com/sioplug/sioplug/observe/otel"
)

func TestEvents(t *testing.T) {
	t.Parallel()
	s := newTraced(t, siotel.TracingOptions{}, sio.Options{})
	s.On("order", sio.Reply(func(c *sio.Ctx, _ int) (string, error) {
		return trace.SpanContextFromContext(c.Context()).SpanID().String(), nil
	}))
	s.OnUnknown(func(c *sio.Ctx) error { return c.Ack() })
	children := s.OfRegexp(regexp.MustCompile(`^/room-\d+$`))
	children.UseEvents(s.tracing.Middleware)
	children.On("hello", func(c *sio.Ctx) error { return c.Ack() })

	c := s.connect(t, "/", nil)
	id, err := sioclient.EmitWithAck[string](within(t), c, "order", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"made up", "made up too"} {
		if _, err := c.EmitWithAck(within(t), name); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.connect(t, "/room-7", nil).EmitWithAck(within(t), "hello"); err != nil {
		t.Fatal(err)
	}
	order := s.ended(t, "process / order")
	if order.SpanContext().SpanID().String() != id {
		t.Error("the handler has not got the span")
	}
	want(t, order, "kind consumer", "messaging.system=socket.io", "messaging.operation.name=process", "messaging.operation.type=process",
		"messaging.destination.name=/", "messaging.socket.io.event_name=order", "messaging.message.body.size=6")
	want(t, s.ended(t, "connect /"), "kind server", "messaging.system=socket.io", "messaging.operation.name=connect",
		"messaging.destination.name=/", "messaging.message.body.size=0")
	for _, span := range slices.Concat(s.endedTimes(t, "process /", 2), s.endedTimes(t, "process /_0 hello", 1),
		s.endedTimes(t, "connect /", 1), []sdktrace.ReadOnlySpan{order}) {
		s.wantRoot(t, span)
	}
	for _, a := range order.Attributes() {
		if a.Key == "messaging.client.id" && a.Value.AsString() != c.ID() {
			t.Error("not the id of the client")
		}
	}
	if scope := order.InstrumentationScope(); scope.Name != "github.com/sioplug/sioplug/observe/otel" || scope.SchemaURL == "" {
		t.Errorf("scope %+v", scope)
	}
}

// A badError has methods that panic.
type badError struct{}

func (badError) Error() string { panic("Error") }
func (badError) Is(error) bool { panic("Is") }
func (badError) As(any) bool   { panic("As") }

func TestErrors(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newTraced(t, siotel.TracingOptions{}, sio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	long := "\xff" + strings.Repeat("é", 1<<20)
	cut := "\uFFFD" + strings.Repeat("é", 511)
	standard := func(event string, more ...string) []string {
		return append(more, "kind consumer", "messaging.system=socket.io", "messaging.operation.name=process", "messaging.operation.type=process",
			"messaging.destination.name=/", "messaging.socket.io.event_name="+event, fmt.Sprint("messaging.message.body.size=", len(event)))
	}
	type failure struct {
		f    func() error
		want []string
	}
	for event, c := range map[string]failure{
		"meant": {
			func() error { return fmt.Errorf("wrapped: %w", &sio.Error{Message: "sold out"}) },
			[]string{"error.type=error", "exception *fmt.wrapError wrapped: sold out"},
		},
		"internal": {
			func() error { return errors.New("no database") },
			[]string{"error.type=internal_error", "status Error: no database", "exception *errors.errorString no database"},
		},
		"gone": {
			func() error { return fmt.Errorf("emit: %w", sio.ErrDisconnected) },
			[]string{"error.type=aborted", "exception *fmt.wrapError emit: " + sio.ErrDisconnected.Error()},
		},
		"panic": {
			func() error { panic("oh no") },
			[]string{"error.type=panic", "status Error: panic: oh no", "exception string panic: oh no"},
		},
		"goexit": {
			func() error { runtime.Goexit(); return nil },
			[]string{
				"error.type=panic", "status Error: the function ended its goroutine: runtime.Goexit, or FailNow of a test",
				"exception runtime.Goexit the function ended its goroutine: runtime.Goexit, or FailNow of a test",
			},
		},
		"bad": {
			func() error { return badError{} },
			[]string{"error.type=internal_error", "status Error: %!v(PANIC=Error method: Error)", "exception siotel_test.badError %!v(PANIC=Error method: Error)"},
		},
		"long": {
			func() error { return errors.New(long) },
			[]string{"error.type=internal_error", "status Error: " + cut, "exception *errors.errorString " + cut},
		},
	} {
		s.On(event, func(*sio.Ctx) error { return c.f() })
		client := s.connect(t, "/", nil)
		if _, err := client.EmitWithAck(within(t), event); err != nil { // an ack with the error
			t.Errorf("%s: %v", event, err)
		}
		want(t, s.ended(t, "process / "+event), standard(event, c.want...)...)
	}
	if err := s.Shutdown(within(t)); err != nil { // nothing is logged after it
		t.Fatal(err)
	}
	const place = "otel_test.TestErrors.func"
	if text := log.String(); !strings.Contains(text, "oh no") || strings.Count(text, place) == 0 {
		t.Errorf("the log has no stack of the panic: %.500s", text)
	}
	for _, a := range s.ended(t, "process / panic").Events()[0].Attributes {
		if a.Key == "exception.stacktrace" && !strings.Contains(a.Value.AsString(), place) {
			t.Errorf("the span has no stack of the panic: %s", a.Value.AsString())
		}
	}
}

// A client that is refused has a span, too.
func TestRefusedConnect(t *testing.T) {
	t.Parallel()
	s := newTraced(t, siotel.TracingOptions{}, sio.Options{})
	s.UseConnect(sio.Guard(func(*sio.Ctx) error { return &sio.Error{Message: "no"} }))
	c, err := sioclient.New(s.url, &sioclient.Options{Auth: map[string]int{"n": 1}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Manager().Shutdown(context.Background()) })
	if err := c.Connect(within(t)); err == nil {
		t.Error("not refused")
	}
	span := s.ended(t, "connect /")
	want(t, span, "kind server", "messaging.system=socket.io", "messaging.operation.name=connect", "messaging.destination.name=/",
		"messaging.message.body.size=7", "error.type=error", "exception *sio.Error no")
	s.wantRoot(t, span)
}

// Middleware of the application may have a span of its own, which is the parent then.
func TestInsideAnotherSpan(t *testing.T) {
	t.Parallel()
	s := newTraced(t, siotel.TracingOptions{ClientContext: true}, sio.Options{})
	outer := s.Of("/outer")
	outer.UseEvents(func(next sio.Handler) sio.Handler {
		return func(c *sio.Ctx) error {
			ctx, span := s.provider.Tracer("app").Start(c.Context(), "outer")
			defer span.End()
			return next(c.WithContext(ctx))
		}
	}, s.tracing.Middleware)
	outer.On("hello", func(c *sio.Ctx) error { return c.Ack(c.Len()) })
	n, err := sioclient.EmitWithAck[int](within(t), s.connect(t, "/outer", nil), "hello", stranger())
	if err != nil || n != 0 {
		t.Errorf("%d arguments, %v", n, err)
	}
	inner := s.ended(t, "process /outer hello")
	if !inner.Parent().Equal(s.ended(t, "outer").SpanContext()) {
		t.Error("not a child")
	}
	if l := links(inner); len(l) != 1 || l["message"].String() != strangersSpan {
		t.Errorf("links %v", l)
	}
}

func TestNotSampled(t *testing.T) {
	t.Parallel()
	s := newTraced(t, siotel.TracingOptions{}, sio.Options{}, sdktrace.WithSampler(sdktrace.NeverSample()))
	s.On("order", func(c *sio.Ctx) error {
		sc := trace.SpanContextFromContext(c.Context())
		return errors.Join(s.Emit("news"), c.Ack(sc.IsValid() && !sc.IsSampled()), errors.New("late"))
	})
	ok, err := sioclient.EmitWithAck[bool](within(t), s.connect(t, "/", nil), "order")
	if err != nil || !ok {
		t.Errorf("%t, %v", ok, err)
	}
	if err := s.Shutdown(within(t)); err != nil {
		t.Fatal(err)
	}
	if names := s.names(); len(names) > 0 {
		t.Errorf("spans %q", names)
	}
}
