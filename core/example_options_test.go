package sio_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/exampletb"
)

// openURL is what clients ask for first when they use polling.
const openURL = "/socket.io/?EIO=4&transport=polling"

// Pages of two other origins are let in, with their cookies.
func ExampleOptions_cors() {
	srv := sio.New(&sio.Options{
		CORS: &sio.CORS{
			Origins:     []string{"https://app.example.com", "https://example.com"},
			Credentials: true,
		},
		Logger: slog.New(slog.DiscardHandler), // it would warn of the other page
	})
	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)

	for _, origin := range []string{"https://app.example.com", "https://evil.example.com"} {
		r := httptest.NewRequest(http.MethodGet, openURL, nil)
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		fmt.Printf("%q\n", w.Header().Get("Access-Control-Allow-Origin")) // browsers look at it
	}
	// Output:
	// "https://app.example.com"
	// ""
}

// A client without the right header is refused before it has a connection.
func ExampleOptions_allowRequest() {
	srv := sio.New(&sio.Options{AllowRequest: func(r *sio.Request) error {
		if r.Header.Get("X-Api-Key") != "secret" {
			return &sio.HTTPError{Status: http.StatusUnauthorized, Message: "no key"}
		}
		return nil
	}})
	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)

	for _, key := range []string{"guess", "secret"} {
		r := httptest.NewRequest(http.MethodGet, openURL, nil)
		r.Header.Set("X-Api-Key", key)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		fmt.Println(w.Code, strings.Contains(w.Body.String(), "no key"))
	}
	// Output:
	// 401 true
	// 200 false
}

// Requests that make no sense are reported with what is wrong with them.
func ExampleOptions_onConnectionError() {
	srv := sio.New(&sio.Options{OnConnectionError: func(err sio.ConnectionError) {
		fmt.Println(err.Code, err.Message)
	}})
	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)

	for _, query := range []string{"EIO=4&transport=pigeon", "EIO=4&transport=polling&sid=gone"} {
		r := httptest.NewRequest(http.MethodGet, "/socket.io/?"+query, nil)
		srv.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// 0 Transport unknown
	// 1 Session ID unknown
}

// Every answer tells browsers to keep the connection to TLS.
func ExampleOptions_useRequest() {
	srv := sio.New(&sio.Options{UseRequest: []func(http.Header, *sio.Request) error{
		func(h http.Header, _ *sio.Request) error {
			h.Set("Strict-Transport-Security", "max-age=31536000")
			return nil
		},
	}})
	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)

	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, openURL, nil))
	fmt.Println(w.Code, w.Header().Get("Strict-Transport-Security"))
	// Output: 200 max-age=31536000
}

// A load balancer that wants a cookie sends each client to its server.
func ExampleOptions_cookie() {
	srv := sio.New(&sio.Options{
		Cookie:     &sio.Cookie{Name: "server", Secure: true},
		GenerateID: func(*sio.Request) (string, error) { return "an-id", nil }, // for the example only
	})
	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)

	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, openURL, nil))
	fmt.Println(w.Header().Get("Set-Cookie"))
	// Output: server=an-id; Path=/; HttpOnly; Secure; SameSite=Lax
}

// A WebSocket is compressed if the client offers that, as browsers do.
func ExampleOptions_perMessageDeflate() {
	srv := sio.New(&sio.Options{PerMessageDeflate: &sio.PerMessageDeflate{Threshold: 512}})
	tb := exampletb.New() // in a test, its *testing.T
	defer tb.End(srv)
	d := siotest.Pipes(tb, srv)

	url := d.Endpoint("EIO", "4", "transport", "websocket")
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
	answer, err := d.HTTP(tb).Do(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	extension, _, _ := strings.Cut(answer.Header.Get("Sec-WebSocket-Extensions"), ";")
	fmt.Println(answer.StatusCode, extension)
	// Output: 101 permessage-deflate
}
