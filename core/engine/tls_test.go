package engine_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// do makes a request over HTTP/2.
func do(t *testing.T, web *httptest.Server, method, query string, body io.Reader) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, web.URL+"/?"+query, body)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	res, err := web.Client().Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	same(t, "protocol", res.Proto, "HTTP/2.0")
	return res.StatusCode, string(text)
}

// dialTLS opens a WebSocket, or fails the test. Browsers do that on a connection
// of its own, for which they offer HTTP/1.1 alone.
func dialTLS(t *testing.T, k *enginetest.Kit, web *httptest.Server, query, origin string) *enginetest.Conn {
	t.Helper()
	transport, ok := web.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	config := transport.TLSClientConfig.Clone()
	config.NextProtos = []string{"http/1.1"}
	addr := web.Listener.Addr().String()
	nc, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	c := handshakeOver(t, k, nc, query, addr, origin)
	c.Resume()
	return c
}

// handshakeOver opens a WebSocket over a connection, of which no frame is read before
// [enginetest.Conn.Resume].
func handshakeOver(t *testing.T, k *enginetest.Kit, nc net.Conn, query, addr, origin string) *enginetest.Conn {
	t.Helper()
	var req bytes.Buffer
	fmt.Fprintf(&req, "GET /?%s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\n", query, addr, origin)
	if err := enginetest.Handshake().Write(&req); err != nil {
		t.Fatal(err)
	}
	req.WriteString("\r\n")
	if _, err := nc.Write(req.Bytes()); err != nil {
		t.Fatal(err)
	}
	return k.NewConn(nc)
}

func TestTLS(t *testing.T) {
	setup := func(t *testing.T) (*enginetest.Kit, *httptest.Server) {
		k := enginetest.New(t, engine.Options{})
		k.OnMessage = enginetest.Echo
		return k, k.ListenTLS(k)
	}
	t.Run("polling over HTTP/2, upgrade on the same listener", func(t *testing.T) {
		k, web := setup(t)
		status, open := do(t, web, http.MethodGet, polling, nil)
		same(t, "handshake", status, 200)
		sid := open[len(`0{"sid":"`):][:20]
		same(t, "TLS is known", k.Peer(sid).Session.Request().TLS, true)
		query := polling + "&sid=" + sid
		status, answer := do(t, web, http.MethodPost, query, strings.NewReader("4hello"))
		same(t, "POST", fmt.Sprint(status, answer), "200ok")
		status, answer = do(t, web, http.MethodGet, query, nil)
		same(t, "poll", fmt.Sprint(status, answer), "2004hello")

		ws := dialTLS(t, k, web, websocket+"&sid="+sid, web.URL)
		ws.Text("2probe")
		same(t, "probe", ws.Next(), "3probe")
		ws.Text("5")
		ws.Text("4again")
		same(t, "echo", ws.Next(), "4again")
		status, answer = do(t, web, http.MethodGet, query, nil)
		same(t, "EIO-GET-10", fmt.Sprintf("%d %s", status, answer), badRequest)
	})
	t.Run("websocket from the start", func(t *testing.T) {
		k, web := setup(t)
		ws := dialTLS(t, k, web, websocket, web.URL)
		same(t, "open", ws.Next()[:1], "0")
		ws.Binary("\x01")
		same(t, "echo", ws.Next(), "<01>")
	})
	t.Run("polls of several sessions share a connection", func(t *testing.T) {
		k, web := setup(t)
		_, a := do(t, web, http.MethodGet, polling, nil)
		_, b := do(t, web, http.MethodGet, polling, nil)
		sids := []string{a[len(`0{"sid":"`):][:20], b[len(`0{"sid":"`):][:20]}
		answers := make(chan string, len(sids))
		for _, sid := range sids {
			go func() {
				_, answer := do(t, web, http.MethodGet, polling+"&sid="+sid, nil)
				answers <- answer
			}()
		}
		k.Peer(sids[0]).Send("first")
		same(t, "first", <-answers, "4first")
		k.Peer(sids[1]).Send("second")
		same(t, "second", <-answers, "4second")
	})
	t.Run("EIO-VF-7 a WebSocket over HTTP/2 is refused in words", func(t *testing.T) {
		k, web := setup(t)
		status, answer := do(t, web, http.MethodGet, websocket, nil)
		same(t, "answer", fmt.Sprintf("%d %s", status, answer), badRequest)
		// Extended CONNECT (RFC 8441): servers have to offer it first, and
		// net/http does only when told to.
		same(t, "CONNECT", k.Do(enginetest.Request{Method: http.MethodConnect, Query: websocket}).String(), badMethod)
	})
}
