package nethttp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
	"github.com/sioplug/sioplug/core/nethttp"
)

// These tests run over real connections, in real time: they show what depends
// on how net/http behaves. What does not is tested in package engine.

func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// A wire is one TCP connection on which requests are written by hand.
type wire struct {
	net.Conn

	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, k *enginetest.Kit, web *httptest.Server) *wire {
	t.Helper()
	nc := k.Connect(web)
	return &wire{nc, t, bufio.NewReader(nc)}
}

// send writes a request with its lines separated by newlines.
func (w *wire) send(head, body string) {
	w.t.Helper()
	head = strings.ReplaceAll(head, "\n", "\r\n") + "\r\nHost: server.test\r\n\r\n"
	if _, err := io.WriteString(w, head+body); err != nil {
		w.t.Fatal(err)
	}
}

// answer reads the answer to a request of this method, as "status body", and
// "closed" if there is none.
func (w *wire) answer(method string) (string, http.Header) {
	w.t.Helper()
	res, err := http.ReadResponse(w.r, &http.Request{Method: method})
	if err != nil {
		return "closed", nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", string(body))), res.Header
}

// do makes a request and returns its answer.
func (w *wire) do(head, body string) string {
	w.t.Helper()
	method, _, _ := strings.Cut(head, " ")
	w.send(head, body)
	got, _ := w.answer(method)
	return got
}

// open opens a polling session and returns it with its path.
func (w *wire) open(k *enginetest.Kit) (p *enginetest.Peer, path string) {
	w.t.Helper()
	if got := w.do("GET /?EIO=4&transport=polling HTTP/1.1", ""); !strings.HasPrefix(got, `200 0{"sid":"`) {
		w.t.Fatalf("handshake: %s", got)
	}
	p = k.LastPeer()
	return p, "/?EIO=4&transport=polling&sid=" + p.Session.ID()
}

const unknownSession = `400 {"code":1,"message":"Session ID unknown"}`

func post(path, body string) (head, content string) {
	return fmt.Sprintf("POST %s HTTP/1.1\nContent-Length: %d", path, len(body)), body
}

func TestPolling(t *testing.T) {
	const limit = 1000
	k := enginetest.New(t, engine.Options{MaxHTTPBufferSize: limit})
	web := k.Listen()
	t.Run("EIO-GET-1, EIO-GET-2, EIO-GET-4, EIO-POST-1 round trip", func(t *testing.T) {
		w := dial(t, k, web)
		p, path := w.open(k)
		same(t, "post", w.do(post(path, "4a\x1e4€")), "200 ok")
		same(t, "messages", strings.Join(p.Messages(), "|"), "a|€")
		p.Send("€")
		w.send("GET "+path+" HTTP/1.1", "")
		got, h := w.answer("GET")
		same(t, "poll", got, "200 4€")
		same(t, "length in bytes", h.Get("Content-Length"), "4")
		same(t, "cache control", h.Get("Cache-Control"), "no-store")
		same(t, "content type", h.Get("Content-Type"), "text/plain; charset=UTF-8")
		w.send("GET "+path+" HTTP/1.1", "") // parks, or does not: either way it gets
		p.Send("later")
		got, _ = w.answer("GET")
		same(t, "parked poll", got, "200 4later")
	})
	t.Run("EIO-ER-1 errors", func(t *testing.T) {
		w := dial(t, k, web)
		w.send("GET /?EIO=4&transport=x HTTP/1.1", "")
		got, h := w.answer("GET")
		same(t, "answer", got, `400 {"code":0,"message":"Transport unknown"}`)
		same(t, "content type", h.Get("Content-Type"), "application/json")
		same(t, "cache control", h.Get("Cache-Control"), "")
	})
	t.Run("EIO-ER-3 HEAD has no body", func(t *testing.T) {
		w := dial(t, k, web)
		w.send("HEAD /?EIO=4&transport=polling HTTP/1.1", "")
		got, h := w.answer("HEAD")
		same(t, "answer", got, "400")
		same(t, "content type", h.Get("Content-Type"), "application/json")
		_, path := w.open(k) // would read the body first, if there was one
		same(t, "EIO-MT-2 with a session", w.do("HEAD "+path+" HTTP/1.1", ""), "405")
		same(t, "the session lives on", w.do(post(path, "4x")), "200 ok")
	})
	t.Run("EIO-RT-6 a query that is broken elsewhere", func(t *testing.T) {
		w := dial(t, k, web)
		same(t, "status", w.do("GET /?name=100%&EIO=4&a;b&transport=polling HTTP/1.1", "")[:4], "200 ")
	})
	t.Run("EIO-GET-6 client aborts a parked poll", func(t *testing.T) {
		w := dial(t, k, web)
		p, path := w.open(k)
		poll := dial(t, k, web)
		poll.send("GET "+path+" HTTP/1.1", "")
		_ = poll.Close()
		same(t, "reason", p.End().Reason, engine.TransportError)
		same(t, "next", w.do("GET "+path+" HTTP/1.1", ""), unknownSession)
	})
	t.Run("EIO-GET-7 every request on a connection of its own", func(t *testing.T) {
		p, path := dial(t, k, web).open(k)
		for i := range 3 {
			head, body := post(path, fmt.Sprint("4", i))
			same(t, "post", dial(t, k, web).do(head+"\nConnection: close", body), "200 ok")
			p.Send(fmt.Sprint(i))
			same(t, "poll", dial(t, k, web).do("GET "+path+" HTTP/1.1\nConnection: close", ""), fmt.Sprint("200 4", i))
		}
		same(t, "messages", strings.Join(p.Messages(), "|"), "0|1|2")
	})
	t.Run("EIO-POST-4 limit", func(t *testing.T) {
		w := dial(t, k, web)
		p, path := w.open(k)
		exact := "4" + strings.Repeat("x", limit-1)
		chunked := "POST " + path + " HTTP/1.1\nTransfer-Encoding: chunked"
		same(t, "exactly", w.do(post(path, exact)), "200 ok")
		same(t, "exactly, chunked", w.do(chunked, chunks(exact[:500], exact[500:])), "200 ok")
		same(t, "one past", dial(t, k, web).do(post(path, exact+"x")), "413")
		same(t, "one past, chunked", dial(t, k, web).do(chunked, chunks(exact, "x")), "413")
		same(t, "as soon as it is clear", dial(t, k, web).do(
			"POST "+path+" HTTP/1.1\nContent-Length: 10000000", "4"), "413")
		same(t, "the session lives on", w.do(post(path, "4end")), "200 ok")
		same(t, "messages", len(p.Messages()), 3)
	})
	t.Run("EIO-POST-5 chunks", func(t *testing.T) {
		w := dial(t, k, web)
		p, path := w.open(k)
		same(t, "answer", w.do("POST "+path+" HTTP/1.1\nTransfer-Encoding: chunked", chunks("41", "2", "3")), "200 ok")
		euro := "€"
		same(t, "answer", w.do("POST "+path+" HTTP/1.1\nTransfer-Encoding: chunked", chunks("4"+euro[:1], euro[1:])), "200 ok")
		same(t, "messages", strings.Join(p.Messages(), "|"), "123|€")
	})
	t.Run("EIO-POST-8 second POST while one is being read", func(t *testing.T) {
		w, first := dial(t, k, web), dial(t, k, web)
		p, path := w.open(k)
		// The answer to "100-continue" says that the server reads.
		first.send("POST "+path+" HTTP/1.1\nContent-Length: 10\nExpect: 100-continue", "")
		if line, err := first.r.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("got %q, %v", line, err)
		}
		if _, err := first.r.Discard(len("\r\n")); err != nil {
			t.Fatal(err)
		}
		same(t, "second", w.do(post(path, "4b")), "400")
		same(t, "reason", p.End().Reason, engine.TransportError)
		got, _ := first.answer("POST")
		same(t, "first", got, "closed")
		same(t, "messages", len(p.Messages()), 0)
	})
	t.Run("EIO-POST-9 client aborts", func(t *testing.T) {
		w := dial(t, k, web)
		p, path := w.open(k)
		w.send("POST "+path+" HTTP/1.1\nContent-Length: 10", "4a")
		_ = w.Close()
		same(t, "reason", p.End().Reason, engine.TransportError)
		same(t, "messages", len(p.Messages()), 0)
	})
}

// chunks encodes a body for chunked transfer.
func chunks(pieces ...string) string {
	var b strings.Builder
	for _, p := range pieces {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(p), p)
	}
	return b.String() + "0\r\n\r\n"
}

func TestRequest(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "http://server.test/a%20b/?x=1", strings.NewReader("body"))
	for addr, want := range map[string]string{
		"192.0.2.1:1234": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::1", "@": "@", "": "",
	} {
		r.RemoteAddr = addr
		same(t, "client of "+addr, nethttp.New(httptest.NewRecorder(), r).Request().ClientIP, want)
	}
	req := nethttp.New(httptest.NewRecorder(), r).Request()
	same(t, "path", req.Path, "/a b/")
	same(t, "URI", req.URI, "/a%20b/?x=1")
	same(t, "host", req.Host, "server.test")
	same(t, "length", req.ContentLength, 4)
	same(t, "TLS", req.TLS, false)
	same(t, "query", req.Query.Get("x"), "1")
}
