package siotel_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/parser/msgpack"
	siotel "github.com/sioplug/sioplug/observe/otel"
)

const (
	strangersTrace = "0af7651916cd43dd8448eb211c80319c"
	strangersSpan  = "b7ad6b7169203331"
	connectSpan    = "00f067aa0ba902b7"
)

func stranger() siotel.Context {
	return siotel.Context{TraceContext: siotel.TraceContext{Traceparent: "00-" + strangersTrace + "-" + strangersSpan + "-01", Tracestate: "vendor=1"}}
}

func TestClientContext(t *testing.T) {
	t.Parallel()
	auth := map[string]string{"token": "x", "traceparent": "00-" + strangersTrace + "-" + connectSpan + "-01"}
	for name, o := range map[string]siotel.TracingOptions{
		"ignored": {}, "linked": {ClientContext: true}, "trusted": {TrustClients: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTraced(t, o, sio.Options{})
			s.On("order", func(c *sio.Ctx) error {
				v, err := c.Args().Values()
				return errors.Join(err, c.Ack(v...))
			})
			args, err := s.connect(t, "/", auth).EmitWithAck(within(t), "order", "a", []byte("b"), stranger())
			if left := args.Len(); err != nil || left != map[string]int{"ignored": 3, "linked": 2, "trusted": 2}[name] {
				t.Errorf("%d arguments are left, %v", left, err)
			}
			var binary []byte
			if err := args.At(1).Bind(&binary); err != nil || string(binary) != "b" {
				t.Errorf("%q, %v", binary, err)
			}
			connect, order := s.ended(t, "connect /"), s.ended(t, "process / order")
			toConnect, toOrder := links(connect), links(order)
			if toConnect["handshake"] != toOrder["handshake"] || !toOrder["handshake"].IsValid() {
				t.Errorf("links %v and %v", toConnect, toOrder)
			}
			switch name {
			case "ignored":
				if len(toConnect)+len(toOrder) != 2 || connect.Parent().IsValid() || order.Parent().IsValid() {
					t.Errorf("links %v and %v", toConnect, toOrder)
				}
			case "linked":
				if toConnect["message"].String() != connectSpan || toOrder["connect"].String() != connectSpan || toOrder["message"].String() != strangersSpan {
					t.Errorf("links %v and %v", toConnect, toOrder)
				}
				if connect.Parent().IsValid() || order.Parent().IsValid() || order.SpanContext().TraceID().String() == strangersTrace {
					t.Error("a stranger is the parent")
				}
			case "trusted":
				if connect.Parent().SpanID().String() != connectSpan || order.Parent().SpanID().String() != strangersSpan ||
					order.SpanContext().TraceID().String() != strangersTrace || order.SpanContext().TraceState().String() != "vendor=1" || !order.Parent().IsRemote() {
					t.Errorf("parents %v and %v", connect.Parent(), order.Parent())
				}
				if toOrder["connect"].String() != connectSpan || len(toOrder) != 2 {
					t.Errorf("links %v", toOrder)
				}
			}
		})
	}
}

// With another parser, contexts are the same.
func TestClientContextInMessagePack(t *testing.T) {
	t.Parallel()
	s := newTraced(t, siotel.TracingOptions{ClientContext: true}, sio.Options{Parser: msgpack.Parser{}})
	s.On("order", func(c *sio.Ctx) error { return c.Ack(c.Len()) })
	c, err := sioclient.New(s.url, &sioclient.Options{Parser: msgpack.Parser{}, Auth: stranger().TraceContext})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Manager().Shutdown(context.Background()) })
	if err := c.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if n, err := sioclient.EmitWithAck[int](within(t), c, "order", "a", []byte("b"), stranger()); err != nil || n != 2 {
		t.Errorf("%d arguments are left, %v", n, err)
	}
	if l := links(s.ended(t, "process / order")); l["message"].String() != strangersSpan || l["connect"].String() != strangersSpan {
		t.Errorf("links %v", l)
	}
}

// What is no trace context stays an argument, or is ignored.
func TestBadContexts(t *testing.T) {
	t.Parallel()
	s := newTraced(t, siotel.TracingOptions{ClientContext: true}, sio.Options{})
	s.On("count", func(c *sio.Ctx) error { return c.Ack(c.Len()) })
	for _, auth := range []string{`{"traceparent":1}`, `{"traceparent":"x"}`, `{"traceparent":"` + strings.Repeat("0", 1000) + `"}`, `{"tracestate":"a=1"}`} {
		s.connect(t, "/", json.RawMessage(auth))
	}
	for _, span := range s.endedTimes(t, "connect /", 4) {
		if len(span.Links()) != 1 {
			t.Errorf("%d links", len(span.Links()))
		}
	}
	c := s.connect(t, "/", nil)
	const valid = `"traceparent":"00-` + strangersTrace + `-` + strangersSpan + `-01"`
	for arg, left := range map[string]int{
		`"x"`:                                    1,
		`null`:                                   1,
		`{}`:                                     1,
		`{"a":1,"traceContext":{` + valid + `}}`: 1, // it is the application's
		`{"traceContext":{` + valid + `},"a":1}`: 1,
		`{"traceContext":{` + valid + `,"more":true}}`: 1,
		`{"traceContext":"x"}`:                         1,
		`{"traceContext":null}`:                        1,
		`{"traceContext":{}}`:                          0, // from NewContext without a span
		`{"traceContext":{"traceparent":"x"}}`:         0,
		`{"traceContext":{"traceparent":"00-00000000000000000000000000000000-` + strangersSpan + `-01"}}`: 0,
		`{"traceContext":{` + valid + `,"tracestate":"` + strings.Repeat("a", 2000) + `"}}`:               1,
	} {
		n, err := sioclient.EmitWithAck[int](within(t), c, "count", json.RawMessage(arg))
		if err != nil || n != left {
			t.Errorf("%.80s: %d arguments are left, want %d; %v", arg, n, left, err)
		}
	}
	if n, err := sioclient.EmitWithAck[int](within(t), c, "count"); err != nil || n != 0 {
		t.Error(n, err)
	}
	for _, span := range s.endedTimes(t, "process / count", 13) {
		if len(span.Links()) != 1 {
			t.Errorf("%d links", len(span.Links()))
		}
	}
	// A tracestate that is too long, or not valid, does not make the traceparent bad.
	if _, err := c.EmitWithAck(within(t), "count", json.RawMessage(`{"traceContext":{`+valid+`,"tracestate":"`+strings.Repeat("a", 600)+`"}}`)); err != nil {
		t.Error(err)
	}
	last := s.endedTimes(t, "process / count", 14)[13]
	if l := links(last); l["message"].String() != strangersSpan {
		t.Errorf("links %v", l)
	}
}

func TestNewContext(t *testing.T) {
	t.Parallel()
	if none := siotel.NewContext(t.Context()); none != (siotel.Context{}) {
		t.Error(none)
	}
	traceID, _ := trace.TraceIDFromHex(strangersTrace)
	spanID, _ := trace.SpanIDFromHex(strangersSpan)
	state, _ := trace.ParseTraceState("vendor=1")
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.FlagsSampled, TraceState: state})
	if got := siotel.NewContext(trace.ContextWithSpanContext(t.Context(), sc)); got != stranger() {
		t.Error(got)
	}
}

// Events between servers have links to the span that emitted them.
func TestServerEvents(t *testing.T) {
	t.Parallel()
	cluster := adapter.NewMemory()
	a := newTraced(t, siotel.TracingOptions{}, sio.Options{Adapter: cluster})
	b := newTraced(t, siotel.TracingOptions{}, sio.Options{Adapter: cluster})
	type call struct {
		args int
		span trace.SpanContext
	}
	calls := make(chan call, 2)
	b.tracing.OnServerEvent(b.Namespace, "refresh", func(ctx context.Context, args sio.Args) (any, error) {
		calls <- call{args.Len(), trace.SpanContextFromContext(ctx)}
		if args.Len() == 2 {
			return nil, errors.New("no database")
		}
		return "fresh", nil
	})
	ctx, span := a.provider.Tracer("app").Start(t.Context(), "job")
	span.End()
	for got := range sio.ServerSideEmitWithAck[string](within(t), a.Namespace, "refresh", "x", siotel.NewContext(ctx)) {
		if got.Value != "fresh" || got.Err != nil {
			t.Error(got)
		}
	}
	if err := a.ServerSideEmit("refresh", "x", "y"); err != nil {
		t.Fatal(err)
	}
	spans := b.endedTimes(t, "process / refresh", 2)
	for i, n := range []int{1, 2} {
		if got := <-calls; got.args != n || !got.span.Equal(spans[i].SpanContext()) || spans[i].Parent().IsValid() {
			t.Errorf("%d arguments, parent %v", got.args, spans[i].Parent())
		}
	}
	if l := links(spans[0]); l["message"] != span.SpanContext().SpanID() || len(l) != 1 {
		t.Errorf("links %v", l)
	}
	if l := spans[1].Links(); len(l) != 0 || spans[1].Status().Description != "no database" {
		t.Errorf("links %v, status %v", l, spans[1].Status())
	}
	defer func() {
		if v, _ := recover().(string); !strings.Contains(v, "got a nil handler") {
			t.Errorf("panic %v", v)
		}
	}()
	b.tracing.OnServerEvent(b.Namespace, "nil", nil)
}
