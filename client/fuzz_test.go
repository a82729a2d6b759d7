package sioclient_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	sioclient "github.com/sioplug/sioplug/client"
	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/parser/msgpack"
)

// FuzzServer: whatever a server answers to the first two requests of a session, the client
// does not panic, ends when it is told to, and logs nothing above Debug.
func FuzzServer(f *testing.F) {
	const accepted = openPacket + "\x1e" + `40{"sid":"a","pid":"p"}` + "\x1e" + `40/x,{"sid":"b"}`
	for _, body := range []string{
		`42["e",1]`, `421["e",1,"offset"]`, `430[1]` + "\x1e" + `430[2]`, `43[1]`, `431[{"error":{"message":"m"}}]`,
		`42/x,["e",{"a":[null]}]` + "\x1e2", `451-["e",{"_placeholder":true,"num":0}]` + "\x1ebAQID",
		`461-0[{"_placeholder":true,"num":0}]` + "\x1ebAQID", `452-["e",{"_placeholder":true,"num":1}]` + "\x1ebAQID\x1e42[]",
		`41` + "\x1e" + `42["e"]`, `41/x,`, `44{"message":"no","data":1}`, `44/x,"no"`, "1", "2\x1e2\x1e3\x1e5\x1e6", "\x1e", "",
		`40{"sid":"c"}` + "\x1e" + `40`, `42["connect"]`, `42[1]`, `49`, "4", "bgA==", `42["e","` + "\xff" + `"]`,
		"bg6R0eXBlAqRkYXRhkqFlAaNuc3ChLw==", "bgqR0eXBlAKNuc3ChLw==",
	} {
		f.Add([]byte(accepted), []byte(body), false)
		f.Add([]byte(accepted), []byte(body), true)
		f.Add([]byte(body), []byte(accepted), false)
	}
	f.Fuzz(func(t *testing.T, first, second []byte, packed bool) {
		var log lockedBuffer
		server := &fuzzedServer{answers: [][]byte{first, second}, ended: make(chan bool)}
		o := &sioclient.Options{
			Transports: []string{"polling"}, HTTPClient: &http.Client{Transport: server}, DisableReconnection: true,
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo})), MaxMessageSize: 1 << 16,
		}
		if packed {
			o.Parser = parser.Parser(msgpack.Parser{})
		}
		o.Hooks.Error = func(error) { server.end() }
		o.Hooks.Close = func(sioclient.Reason, error) { server.end() }
		s, err := sioclient.New("http://fuzz.test", o)
		if err != nil {
			t.Fatal(err)
		}
		x, err := s.Manager().Of("/x")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*sioclient.Socket{s, x} {
			s.On("e", sioclient.Reply(func(_ *sioclient.Ctx, v any) (any, error) { return v, nil }))
			s.OnUnknown(func(c *sioclient.Ctx) error { _, err := c.Args().Values(); return err })
			s.OnAny(func(c *sioclient.Ctx) { _ = c.Size() })
			if _, err := sioclient.Ask[[]byte](s, "question"); err != nil {
				t.Fatal(err)
			}
			s.Open()
		}
		<-server.ended
		ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
		defer cancel()
		if err := s.Manager().Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if got := log.String(); got != "" {
			t.Errorf("the log: %s", got)
		}
	})
}

// A fuzzedServer answers the first requests for packets, and lets the next one wait.
type fuzzedServer struct {
	answers [][]byte
	polls   atomic.Int64
	once    sync.Once
	ended   chan bool
}

func (s *fuzzedServer) end() { s.once.Do(func() { close(s.ended) }) }

// RoundTrip implements [http.RoundTripper].
func (s *fuzzedServer) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte("ok")
	if r.Method == http.MethodGet {
		n := int(s.polls.Add(1))
		if n > len(s.answers) {
			s.end()
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		body = s.answers[n-1]
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}
