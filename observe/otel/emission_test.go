package siotel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	siotel "github.com/sioplug/sioplug/observe/otel"
)

func TestEmissions(t *testing.T) {
	t.Parallel()
	s := newTraced(t, siotel.TracingOptions{}, sio.Options{})
	s.On("go", func(c *sio.Ctx) error {
		n, err := sio.EmitWithAck[int](c.Context(), c.Socket, "question")
		if err != nil {
			return err
		}
		for a := range sio.BroadcastWithAck[int](c.Context(), s.To("a"), "vote") {
			n += a.Value
		}
		return errors.Join(c.To("a", "b").Emit("news"), s.Broadcast().WithContext(c.Context()).Emit("all"), c.Ack(n))
	})
	s.OnConnect(func(c *sio.Ctx) error { return c.Join("a") })
	c := s.connect(t, "/", nil)
	c.On("question", sioclient.Reply(func(*sioclient.Ctx, struct{}) (int, error) { return 1, nil }))
	c.On("vote", sioclient.Reply(func(*sioclient.Ctx, struct{}) (int, error) { return 2, nil }))
	if n, err := sioclient.EmitWithAck[int](within(t), c, "go"); err != nil || n != 3 {
		t.Fatal(n, err)
	}
	handler := s.ended(t, "process / go").SpanContext()
	standard := func(kind, op, event string, more ...string) []string {
		return append(more, "kind "+kind, "messaging.system=socket.io", "messaging.operation.name="+op, "messaging.operation.type=publish",
			"messaging.destination.name=/", "messaging.socket.io.event_name="+event)
	}
	for name, lines := range map[string][]string{
		"emit_with_ack / question":  standard("client", "emit_with_ack", "question"),
		"broadcast_with_ack / vote": standard("client", "broadcast_with_ack", "vote", "messaging.socket.io.room_count=1"),
		"emit / news":               standard("producer", "emit", "news", "messaging.socket.io.room_count=2"),
		"emit / all":                standard("producer", "emit", "all", "messaging.socket.io.room_count=0"),
	} {
		span := s.ended(t, name)
		want(t, span, lines...)
		if !span.Parent().Equal(handler) || len(span.Links()) > 0 {
			t.Errorf("%s is no child of the handler, or has %d links", name, len(span.Links()))
		}
	}
}

// Outside of handlers, spans are roots.
func TestEmissionsOutsideHandlers(t *testing.T) {
	t.Parallel()
	s := newTraced(t, siotel.TracingOptions{}, sio.Options{})
	sockets := make(chan *sio.Socket, 1)
	s.OnConnect(func(c *sio.Ctx) error { sockets <- c.Socket; return nil })
	s.connect(t, "/", nil)
	socket := <-sockets
	ctx, cancel := context.WithCancel(socket.Context())
	cancel()
	if _, err := socket.EmitWithAck(ctx, "silence"); err == nil {
		t.Error("an ack out of nothing")
	}
	if s.Emit("connect") == nil {
		t.Error("a reserved name")
	}
	silence, failed := s.ended(t, "emit_with_ack / silence"), s.ended(t, "emit / connect")
	s.wantRoot(t, silence)
	if failed.Parent().IsValid() || len(failed.Links()) > 0 {
		t.Error("a parent or a link without a client")
	}
	for span, kind := range map[sdktrace.ReadOnlySpan]string{silence: "canceled", failed: "*fmt.wrapError"} {
		if st := span.Status(); st.Code.String() != "Error" || st.Description == "" || len(span.Events()) != 1 {
			t.Errorf("%s: status %v, %d events", span.Name(), st, len(span.Events()))
		}
		if !slices.ContainsFunc(span.Attributes(), func(a attribute.KeyValue) bool { return a.Key == "error.type" && a.Value.AsString() == kind }) {
			t.Errorf("%s has %v", span.Name(), span.Attributes())
		}
	}
	ctx, span := s.provider.Tracer("app").Start(t.Context(), "job")
	if err := s.To("a").WithContext(ctx).Emit("from a job"); err != nil {
		t.Error(err)
	}
	span.End()
	if !s.ended(t, "emit / from a job").Parent().Equal(s.ended(t, "job").SpanContext()) {
		t.Error("not a child of the job")
	}
}

// Names of events that the application makes up, or takes from clients, do not make names of
// spans without end. What is not UTF-8 would have exporters lose other spans.
func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	s := newTraced(t, siotel.TracingOptions{}, sio.Options{})
	const names = 1500
	buffer := []byte("a\xffb")
	for _, event := range append([]string{string(buffer)}, strings.Fields(strings.Repeat("x ", 3))...) {
		if err := s.Emit(event); err != nil {
			t.Error(err)
		}
	}
	for i := range names {
		if err := s.Emit(fmt.Sprint("e", i)); err != nil {
			t.Fatal(err)
		}
	}
	s.ended(t, "emit / a\uFFFDb")
	got := make(map[string]int)
	for _, name := range s.names() {
		got[name]++
	}
	if got["emit / x"] != 3 || got["emit"] != names-998 || len(got) != 1001 {
		t.Errorf("%d, %d without a name of their own, %d names", got["emit / x"], got["emit"], len(got))
	}
}
