package forward_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster/forward"
	sio "github.com/sioplug/sioplug/core"
)

// What the options do with requests and answers is done once, whichever server answers.
func TestOptionsApplyOnce(t *testing.T) {
	t.Parallel()
	overBoth(t, testOptionsApplyOnce)
}

func testOptionsApplyOnce(t *testing.T, o startOptions) {
	t.Helper()
	var used, hooked, refused atomic.Int32
	o.server = sio.Options{
		CORS:   &sio.CORS{Origins: []string{"https://a.example"}, Credentials: true},
		Cookie: &sio.Cookie{Name: "io"},
		UseRequest: []func(http.Header, *sio.Request) error{func(h http.Header, r *sio.Request) error {
			used.Add(1)
			h.Set("X-Used", "1")
			if r.Header.Get("X-Refuse") != "" {
				return &sio.HTTPError{Status: http.StatusTeapot}
			}
			return nil
		}},
		OnHeaders: func(h http.Header, r *sio.Request) {
			hooked.Add(1)
			h.Set("X-Client", r.ClientIP+" "+r.Host+" "+r.Header.Get("Cookie")+" "+r.Header.Get("User-Agent"))
			h.Set("X-Path", r.Method+" "+r.Path+" "+r.URI)
			for _, name := range []string{"Sioplug-Forwarded", "X-Hop", "Connection", "Te"} {
				if r.Header.Get(name) != "" {
					h.Set("X-Left", name)
				}
			}
		},
		OnConnectionError: func(sio.ConnectionError) { refused.Add(1) },
	}
	nodes := startCluster(t, 2, o)
	a, b := nodes[0], nodes[1]
	sid := b.open(t)
	used.Store(0)
	hooked.Store(0)
	header := http.Header{
		"Origin": {"https://a.example"}, "Cookie": {"one=1; two=2"}, "User-Agent": {""},
		"Connection": {"X-Hop"}, "X-Hop": {"1"}, "Te": {"trailers"},
	}
	status, text, got := a.request(t, http.MethodGet, sid, "", header)
	if status != http.StatusOK || !strings.HasPrefix(text, "40{") {
		t.Errorf("%d %s", status, text)
	}
	host := strings.TrimPrefix(a.web.URL, "http://")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin":      "https://a.example",
		"Access-Control-Allow-Credentials": "true",
		"X-Used":                           "1",
		"X-Client":                         "127.0.0.1 " + host + " one=1; two=2",
		"X-Path":                           "GET /socket.io/ /socket.io/?EIO=4&sid=" + sid + "&transport=polling",
		"X-Left":                           "",
		"Sioplug-Forwarded":                "",
		"Cache-Control":                    "no-store",
		"Content-Type":                     "text/plain; charset=UTF-8",
	} {
		if len(got[name]) > 1 || got.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
	if used.Load() != 1 || hooked.Load() != 1 {
		t.Errorf("UseRequest ran %d times, OnHeaders %d times", used.Load(), hooked.Load())
	}
	if status, _, _ := a.request(t, http.MethodGet, sid, "", http.Header{"X-Refuse": {"1"}}); status != http.StatusTeapot {
		t.Errorf("refused with status %d", status)
	}
	if status, _, got := a.request(t, http.MethodOptions, sid, "", header); status != http.StatusNoContent || got.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("a preflight: %d %v", status, got)
	}
	if n := a.router.Stats().Forwarded; n != 1 {
		t.Errorf("%d requests were forwarded", n)
	}
	a.want(t, http.MethodGet, sid[:4]+strings.Repeat("0", 16), "", unknownSession)
	if refused.Load() != 1 {
		t.Errorf("OnConnectionError ran %d times", refused.Load())
	}
}

// Answers are compressed once, by the server that has the session.
func TestCompression(t *testing.T) {
	t.Parallel()
	overBoth(t, testCompression)
}

func testCompression(t *testing.T, o startOptions) {
	t.Helper()
	nodes := startCluster(t, 2, o)
	a, b := nodes[0], nodes[1]
	sid := b.open(t)
	b.request(t, http.MethodGet, sid, "", nil)
	long := strings.Repeat("long ", 1000)
	a.want(t, http.MethodPost, sid, `421["echo","`+long+`"]`, "200 ok")
	status, text, got := a.request(t, http.MethodGet, sid, "", http.Header{"Accept-Encoding": {"gzip"}})
	if status != http.StatusOK || got.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%d %v", status, got)
	}
	z, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(z); err != nil || string(plain) != `431["`+long+`"]` {
		t.Errorf("%v, %d bytes", err, len(plain))
	}
}

// Bodies are limited where they come in, and a session survives one that is too large, as it
// does without forwarding.
func TestBodies(t *testing.T) {
	t.Parallel()
	overBoth(t, testBodies)
}

func testBodies(t *testing.T, o startOptions) {
	t.Helper()
	const limit = 10_000
	o.server.MaxHTTPBufferSize = limit
	nodes := startCluster(t, 2, o)
	a, b := nodes[0], nodes[1]
	sid := b.open(t)
	body := func(n int) string {
		const frame = len(`42["count",1]`)
		return `42["count",1` + strings.Repeat(" ", n-frame) + "]"
	}
	for _, tt := range []struct {
		name    string
		size    int
		chunked bool
		status  int
	}{
		{"at the limit", limit, false, http.StatusOK},
		{"one more", limit + 1, false, http.StatusRequestEntityTooLarge},
		{"at the limit, chunked", limit, true, http.StatusOK},
		{"one more, chunked", limit + 1, true, http.StatusRequestEntityTooLarge},
		{"much more, chunked", 100 * limit, true, http.StatusRequestEntityTooLarge},
		{"one after that", limit, false, http.StatusOK},
	} {
		var r io.Reader = strings.NewReader(body(tt.size))
		if tt.chunked {
			r = struct{ io.Reader }{r}
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.web.URL+"/socket.io/?EIO=4&transport=polling&sid="+sid, r)
		if err != nil {
			t.Fatal(err)
		}
		if status, text, _ := send(t, a.web.Client(), req); status != tt.status {
			t.Errorf("%s: %d %s", tt.name, status, text)
		}
	}
	if n := b.ClientsCount(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// A body that does not come holds nothing up: the answer to a request for an unknown session
// does not wait for it, and the end of a session ends its request.
func TestBodiesThatStall(t *testing.T) {
	t.Parallel()
	overBoth(t, testBodiesThatStall)
}

func testBodiesThatStall(t *testing.T, o startOptions) {
	t.Helper()
	nodes := startCluster(t, 2, o)
	a, b := nodes[0], nodes[1]
	sid := b.open(t)
	stalled := func(sid string) (answer chan string, hangUp func() error) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(a.web.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprintf(conn, "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n42[", sid); err != nil {
			t.Fatal(err)
		}
		answer = make(chan string, 1)
		go func() {
			all, _ := io.ReadAll(conn) // ends with the connection
			line, _, _ := strings.Cut(string(all), "\r\n")
			answer <- line
		}()
		return answer, conn.Close
	}
	unknown, _ := stalled(b.prefix + "0123456789abcdef")
	if got := <-unknown; got != "HTTP/1.1 400 Bad Request" {
		t.Errorf("an unknown session: %q", got)
	}
	answer, _ := stalled(sid)
	eventually(t, "it waits", func() bool { return a.router.Stats().Pending == 1 && b.router.Stats().Received == 2 })
	if err := b.Broadcast().Close(); err != nil {
		t.Error(err)
	}
	<-answer
	eventually(t, "nothing is left", func() bool { return a.router.Stats().Pending == 0 })

	sid = b.open(t)
	_, hangUp := stalled(sid)
	eventually(t, "it waits", func() bool { return a.router.Stats().Pending == 1 })
	if err := hangUp(); err != nil {
		t.Error(err)
	}
	eventually(t, "the session ends", func() bool { return b.ClientsCount() == 0 && a.router.Stats().Pending == 0 })
}

// The server of a poll lifts its WriteTimeout, also for a poll that another server answers.
func TestWriteTimeout(t *testing.T) {
	t.Parallel()
	overBoth(t, testWriteTimeout)
}

func testWriteTimeout(t *testing.T, o startOptions) {
	t.Helper()
	const limit = 200 * time.Millisecond
	r := new(registry)
	a, b := start(t, r, 0, o), start(t, r, 1, o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hs := &http.Server{Handler: a.Server, WriteTimeout: limit, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(l) }()
	defer func() {
		_ = hs.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	sid := b.open(t)
	b.request(t, http.MethodGet, sid, "", nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+"/socket.io/?EIO=4&transport=polling&sid="+sid, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		_, text, _ := send(t, client, req)
		answer <- text
	}()
	eventually(t, "the poll waits", func() bool { return b.router.Stats().Received == 1 })
	<-time.After(2 * limit)
	b.want(t, http.MethodPost, sid, `42["count",1]`, "200 ok")
	if got := <-answer; got != `42["counted",1]` {
		t.Errorf("got %q", got)
	}
}

// New says what is wrong with its options.
func TestOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]forward.Options{
		"no secret":       {Listen: "127.0.0.1:0"},
		"a short secret":  {Listen: "127.0.0.1:0", Secret: "0123456789abcde"},
		"no address":      {Listen: ":0", Secret: secret},
		"a wrong port":    {Listen: "127.0.0.1:port", Secret: secret},
		"no requests":     {Listen: "127.0.0.1:0", Secret: secret, MaxRequests: -1},
		"TLS alone":       {Secret: secret, TLS: tlsWithoutCertificate()},
		"address alone":   {Address: "10.0.0.7", Secret: secret},
		"no certificates": {Listen: "127.0.0.1:0", Secret: secret, TLS: tlsWithoutCertificate()},
	} {
		if r, err := forward.New(new(registry).join(0), o); err == nil {
			t.Errorf("%s: no error", name)
			_ = r.Close(context.Background())
		} else if strings.Contains(err.Error(), "0123456789abcde") {
			t.Errorf("%s: the error has the secret: %v", name, err)
		}
	}
	for address, want := range map[string]string{"10.0.0.7": "10.0.0.7:", "::1": "[::1]:", "db.example:80": "db.example:80", "": "127.0.0.1:"} {
		m := new(registry).join(0)
		r, err := forward.New(m, forward.Options{Listen: "127.0.0.1:0", Address: address, Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(m.address, want) {
			t.Errorf("%q: announced %q", address, m.address)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
