package engine_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/nethttp"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// An echoHandler sends each message back.
type echoHandler struct{ session *engine.Session }

func (h echoHandler) Message(binary bool, p []byte) { _ = h.session.SendMessage(binary, p) }

func (h echoHandler) Close(reason engine.Reason, _ error) { fmt.Println("closed:", reason) }

func newEcho(s *engine.Session) engine.Handler { return echoHandler{s} }

// A silentHandler ignores all messages.
type silentHandler struct{}

func (silentHandler) Message(bool, []byte)       {}
func (silentHandler) Close(engine.Reason, error) {}

func newSilent(*engine.Session) engine.Handler { return silentHandler{} }

// overHTTP serves a server by net/http.
func overHTTP(srv *engine.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		srv.Serve(r.Context(), nethttp.New(w, r))
	})
}

// A server of Engine.IO alone, without Socket.IO on top.
func ExampleNewServer() {
	srv := engine.NewServer(engine.Options{}, newEcho)

	tb := exampletb.New()
	client := siotest.Pipes(tb, overHTTP(srv)).WebSocket(tb)
	client.Send("4hello") // 4 is the type of a message
	fmt.Println(client.Next())
	client.Send("1") // close
	client.UntilClosed()
	tb.End(srv)
	// Output:
	// 4hello
	// closed: transport close
}

// handshake opens a session by polling, for a page of that origin.
func handshake(tb *exampletb.TB, d siotest.Dialer, origin string) (*http.Response, string) {
	d.Header = http.Header{"Origin": {origin}}
	res, err := d.HTTP(tb).Get(d.Endpoint("EIO", "4", "transport", "polling"))
	if err != nil {
		tb.Fatalf("%v", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return res, string(body)
}

// The client gets the status and the message. OnConnectionError gets the details.
func ExampleHTTPError() {
	srv := engine.NewServer(engine.Options{
		AllowRequest: func(r *engine.Request) error {
			if r.Header.Get("Authorization") == "" {
				return &engine.HTTPError{Status: http.StatusUnauthorized, Message: "sign in"}
			}
			return nil
		},
		OnConnectionError: func(err engine.ConnectionError) {
			fmt.Println(err.Code, err.Message, err.Context)
		},
	}, newEcho)

	tb := exampletb.New()
	defer tb.End(srv)
	res, body := handshake(tb, siotest.Pipes(tb, overHTTP(srv)), "")
	fmt.Println(res.StatusCode, body)
	// Output:
	// 4 Forbidden map[message:sign in]
	// 401 {"code":4,"message":"sign in"}
}

// Pages of two origins, and of all subdomains of a third one, may use the server.
func ExampleCORS() {
	srv := engine.NewServer(engine.Options{
		CORS: &engine.CORS{
			Origins:        []string{"https://app.example.com", "http://localhost:5173"},
			OriginPatterns: []*regexp.Regexp{regexp.MustCompile(`^https://[a-z]+\.example\.net$`)},
			Credentials:    true,
		},
		Logger: slog.New(slog.DiscardHandler),
	}, newSilent)

	tb := exampletb.New()
	defer tb.End(srv)
	d := siotest.Pipes(tb, overHTTP(srv))
	for _, origin := range []string{"http://localhost:5173", "https://eu.example.net", "https://example.org"} {
		res, _ := handshake(tb, d, origin)
		fmt.Println(origin, "is allowed:", res.Header.Get("Access-Control-Allow-Origin") == origin)
	}
	// Output:
	// http://localhost:5173 is allowed: true
	// https://eu.example.net is allowed: true
	// https://example.org is allowed: false
}
