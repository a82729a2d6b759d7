package nethttp_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// handshake is a WebSocket request up to its headers Host and Connection.
func handshake(query string) string {
	return "GET /?EIO=4&transport=websocket" + query + " HTTP/1.1\n" +
		"Upgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13"
}

// upgrade makes a handshake, with bytes behind it in the same segment.
func (w *wire) upgrade(k *enginetest.Kit, query, connection string, ahead []byte) *enginetest.Conn {
	w.t.Helper()
	w.send(handshake(query)+"\nConnection: "+connection, string(ahead))
	c := k.NewConn(w.Conn)
	c.Resume()
	return c
}

func next(t *testing.T, c *enginetest.Conn, want ...string) {
	t.Helper()
	for _, w := range want {
		same(t, "frame", c.Next(), w)
	}
}

func opened(t *testing.T, c *enginetest.Conn) {
	t.Helper()
	if got := c.Next(); !strings.HasPrefix(got, `0{"sid":"`) {
		t.Fatalf("open packet: %q", got)
	}
}

func TestWebSocket(t *testing.T) {
	k := enginetest.New(t, engine.Options{})
	k.OnMessage = enginetest.Echo
	web := k.Listen()
	t.Run("EIO-WS-1, EIO-WS-24 echo", func(t *testing.T) {
		c := dial(t, k, web).upgrade(k, "", "Upgrade", nil)
		opened(t, c)
		c.Text("4text")
		c.Binary("\x00\x01")
		next(t, c, "4text", "<0001>")
	})
	t.Run("EIO-WS-2 Firefox", func(t *testing.T) {
		c := dial(t, k, web).upgrade(k, "", "keep-alive, Upgrade", nil)
		opened(t, c)
		c.Text("4x")
		next(t, c, "4x")
	})
	t.Run("EIO-WS-5 messages in the segment of the handshake", func(t *testing.T) {
		long := strings.Repeat("x", 3000)
		ahead := append(enginetest.MaskedText("4a"), enginetest.MaskedText("4"+long)...)
		c := dial(t, k, web).upgrade(k, "", "Upgrade", ahead)
		opened(t, c)
		next(t, c, "4a", "4"+long)
	})
	t.Run("EIO-WS-5 garbage in the segment of the handshake", func(t *testing.T) {
		c := dial(t, k, web).upgrade(k, "", "Upgrade", []byte("garbage garbage"))
		opened(t, c)
		if got := c.Next(); !strings.HasPrefix(got, "close 1002") {
			t.Errorf("frame: %q", got)
		}
		next(t, c, "end")
	})
	t.Run("EIO-WS-5 garbage in the segment of an upgrade", func(t *testing.T) {
		w := dial(t, k, web)
		p, path := w.open(k)
		next(t, dial(t, k, web).upgrade(k, "&sid="+p.Session.ID(), "Upgrade", []byte("garbage garbage")), "end")
		same(t, "the session lives on", w.do(post(path, "4x")), "200 ok")
	})
	t.Run("EIO-UP-3 upgrade", func(t *testing.T) {
		w := dial(t, k, web)
		p, path := w.open(k)
		c := dial(t, k, web).upgrade(k, "&sid="+p.Session.ID(), "Upgrade", nil)
		c.Text("2probe")
		next(t, c, "3probe")
		same(t, "EIO-GET-9 poll", w.do("GET "+path+" HTTP/1.1", ""), "200 6")
		c.Text("5")
		c.Text("4x")
		next(t, c, "4x")
		same(t, "EIO-GET-10 poll", w.do("GET "+path+" HTTP/1.1", ""), `400 {"code":3,"message":"Bad request"}`)
	})
	t.Run("EIO-ER-4 refused", func(t *testing.T) {
		w := dial(t, k, web)
		w.send(handshake("&sid=x")+"\nConnection: Upgrade", "")
		got, err := io.ReadAll(w) // to the end: the server closes
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := strings.Cut(string(got), "\r\n\r\n")
		same(t, "body", body, "Session ID unknown")
		for _, want := range []string{
			"HTTP/1.1 400 Bad Request\r\n", "\r\nConnection: close", "\r\nContent-Type: text/html", "\r\nContent-Length: 18",
		} {
			if !strings.Contains(head, want) {
				t.Errorf("no %q in %q", want, head)
			}
		}
	})
	t.Run("EIO-ER-5 refused, and the client has gone", func(t *testing.T) {
		for range 20 {
			w := dial(t, k, web)
			w.send(handshake("&sid=x")+"\nConnection: Upgrade", "")
			_ = w.Close()
		}
	})
	t.Run("EIO-WS-13 connection reset", func(t *testing.T) {
		w := dial(t, k, web)
		c := w.upgrade(k, "", "Upgrade", nil)
		opened(t, c)
		p := k.LastPeer()
		tcp, ok := w.Conn.(*net.TCPConn)
		if !ok || tcp.SetLinger(0) != nil {
			t.Fatal("no way to reset")
		}
		_ = w.Close()
		same(t, "reason", p.End().Reason, engine.TransportClose)
	})
	t.Run("EIO-WS-14 the server closes", func(t *testing.T) {
		c := dial(t, k, web).upgrade(k, "", "Upgrade", nil)
		opened(t, c)
		p := k.LastPeer()
		p.Send("last words")
		p.Session.Close(nil)
		next(t, c, "4last words", "close", "end")
	})
}

// A client that closes in an orderly way has to see the echo of its close frame
// before the connection ends, or its end was not clean (RFC 6455 section 7.1.4).
func TestCloseIsAnswered(t *testing.T) {
	for name, secure := range map[string]bool{"tcp": false, "tls": true} {
		t.Run("EIO-WS-13 "+name, func(t *testing.T) {
			k := enginetest.New(t, engine.Options{})
			var web *httptest.Server
			if secure {
				web = k.ListenTLS(k)
			} else {
				web = k.Listen()
			}
			for range 50 {
				w := dial(t, k, web)
				if secure {
					w.Conn = tls.Client(w.Conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
				}
				c := w.upgrade(k, "", "Upgrade", nil)
				opened(t, c)
				p := k.LastPeer()
				c.SendClose(ws.StatusGoingAway)
				next(t, c, "close 1001 ", "end")
				_ = c.Close()
				same(t, "reason", p.End().Reason, engine.TransportClose)
			}
		})
	}
}

// A writer that hides the connection is the operator's doing, and the log says
// whose it is.
func TestNoHijacker(t *testing.T) {
	t.Run("EIO-VF-11", func(t *testing.T) {
		k := enginetest.New(t, engine.Options{})
		web := k.ListenTo(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			k.ServeHTTP(hiding{w}, r)
		}))
		w := dial(t, k, web)
		got := w.do(handshake("")+"\nConnection: Upgrade", "")
		same(t, "answer", got, "500 WebSocket upgrade failed: see the server's log")
		w.do(handshake("")+"\nConnection: Upgrade", "") // once is enough to know, however many clients come
		loud := k.Log.Loud()
		if len(loud) != 1 || !strings.Contains(loud[0], "nethttp_test.hiding is no http.Hijacker") {
			t.Errorf("logged: %q", loud)
		}
		same(t, "sessions", k.ClientsCount(), 0)
	})
}

// What middleware has wrapped without a thought of WebSockets can be upgraded.
func TestHijackBelowOtherWriters(t *testing.T) {
	type embedding struct{ http.ResponseWriter }
	k := enginetest.New(t, engine.Options{})
	web := k.ListenTo(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.ServeHTTP(&embedding{embedding{w}}, r)
	}))
	c := dial(t, k, web).upgrade(k, "", "Upgrade", nil)
	opened(t, c)
}

// A client may have gone when its connection is taken over. Then a connection in memory,
// or one that shares another, sets no deadlines any more. The taken connection must not be
// answered: net/http would log that, however many clients do so.
func TestGoneBeforeHijack(t *testing.T) {
	t.Run("EIO-ER-5", func(t *testing.T) {
		k := enginetest.New(t, engine.Options{})
		client, server := net.Pipe()
		l := &oneConn{conn: server, closed: make(chan struct{})}
		var log bytes.Buffer
		served := make(chan struct{})
		hs := &http.Server{
			ReadHeaderTimeout: time.Minute,
			ErrorLog:          slog.NewLogLogger(slog.NewTextHandler(&log, nil), slog.LevelError),
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(served)
				_ = client.Close()
				k.ServeHTTP(w, r)
			}),
		}
		k.Go(func() { _ = hs.Serve(l) })
		t.Cleanup(func() { _ = hs.Close() })
		w := &wire{Conn: client, t: t}
		w.send(handshake("")+"\nConnection: Upgrade", "")
		<-served
		if err := hs.Close(); err != nil {
			t.Error(err)
		}
		same(t, "log of net/http", log.String(), "")
		same(t, "messages above Debug", len(k.Log.Loud()), 0)
		// A read and a write fail at the same time, and the first one to be noticed counts.
		if r := k.LastPeer().End().Reason; r != engine.TransportClose && r != engine.TransportError {
			t.Errorf("the session ended for the reason %q", r)
		}
	})
}

// A oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
