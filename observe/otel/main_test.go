package siotel_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	siotel "github.com/sioplug/sioplug/observe/otel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for something that has to come.
const patience = time.Minute

// A traced is a server with traces, behind HTTP middleware that makes a span of each request.
type traced struct {
	*sio.Server

	tracing  *siotel.Tracing
	provider *sdktrace.TracerProvider
	spans    *tracetest.SpanRecorder
	url      string
}

// newTraced returns a server whose namespace "/" has the middleware.
func newTraced(t *testing.T, o siotel.TracingOptions, opts sio.Options, more ...sdktrace.TracerProviderOption) *traced {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(append(more, sdktrace.WithSpanProcessor(spans))...)
	o.TracerProvider = provider
	tracing := siotel.NewTracing(&o)
	opts.Observers = append(opts.Observers, tracing.Observer())
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	srv := sio.New(&opts)
	srv.UseConnect(tracing.Middleware)
	srv.UseEvents(tracing.Middleware)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := provider.Tracer("http").Start(r.Context(), "request")
		defer span.End()
		srv.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		hs.Close()
	})
	return &traced{srv, tracing, provider, spans, hs.URL}
}

// connect connects a client to a namespace.
func (s *traced) connect(t *testing.T, namespace string, auth any) *sioclient.Socket {
	t.Helper()
	c, err := sioclient.New(s.url+namespace, &sioclient.Options{Auth: auth, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = c.Manager().Shutdown(ctx)
	})
	if err := c.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	return c
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// ended waits for a span of that name that has ended. Spans end after the ack is sent.
func (s *traced) ended(t *testing.T, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	return s.endedTimes(t, name, 1)[0]
}

func (s *traced) endedTimes(t *testing.T, name string, n int) (found []sdktrace.ReadOnlySpan) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		found = found[:0]
		for _, span := range s.spans.Ended() {
			if span.Name() == name {
				found = append(found, span)
			}
		}
		if len(found) >= n {
			return found
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d spans %q, want %d, of %q", len(found), name, n, s.names())
		}
		<-time.After(time.Millisecond)
	}
}

// names returns the names of the spans that have ended.
func (s *traced) names() (names []string) {
	for _, span := range s.spans.Ended() {
		names = append(names, span.Name())
	}
	return names
}

// want compares what a span has: the parts of attributes, events, the status and links, in words.
func want(t *testing.T, span sdktrace.ReadOnlySpan, lines ...string) {
	t.Helper()
	got := []string{"kind " + span.SpanKind().String()}
	for _, a := range span.Attributes() {
		if a.Key != "messaging.client.id" {
			got = append(got, fmt.Sprintf("%s=%s", a.Key, a.Value.Emit()))
		}
	}
	if st := span.Status(); st.Code != 0 {
		got = append(got, fmt.Sprintf("status %s: %s", st.Code, st.Description))
	}
	for _, e := range span.Events() {
		line := e.Name
		for _, a := range e.Attributes {
			if a.Key != "exception.stacktrace" {
				line += fmt.Sprintf(" %s", a.Value.Emit())
			}
		}
		got = append(got, line)
	}
	slices.Sort(got)
	slices.Sort(lines)
	if !slices.Equal(got, lines) {
		t.Errorf("%s:\n  %s\nwant:\n  %s", span.Name(), strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
	}
}

// links returns the spans that a span has links to, by what the links are.
func links(span sdktrace.ReadOnlySpan) map[string]trace.SpanID {
	m := make(map[string]trace.SpanID)
	for _, l := range span.Links() {
		m[l.Attributes[0].Value.AsString()] = l.SpanContext.SpanID()
	}
	return m
}

// wantRoot fails unless a span is the root of its trace, with a link to the handshake.
func (s *traced) wantRoot(t *testing.T, span sdktrace.ReadOnlySpan) {
	t.Helper()
	handshake := s.endedTimes(t, "request", 1)
	if span.Parent().IsValid() || len(span.Links()) == 0 {
		t.Errorf("%s has parent %v and %d links", span.Name(), span.Parent().SpanID(), len(span.Links()))
		return
	}
	linked := span.Links()[slices.IndexFunc(span.Links(), func(l sdktrace.Link) bool {
		return l.Attributes[0].Value.AsString() == "handshake"
	})].SpanContext
	if !slices.ContainsFunc(handshake, func(h sdktrace.ReadOnlySpan) bool { return h.SpanContext().Equal(linked) }) {
		t.Errorf("%s has no link to the handshake", span.Name())
	}
}
