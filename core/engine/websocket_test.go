package engine_test

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// openWebSocket opens a session over WebSocket.
func openWebSocket(t *testing.T, k *enginetest.Kit) (*enginetest.Conn, *enginetest.Peer) {
	t.Helper()
	c := k.Dial(websocket)
	return c, sessionOf(t, k, c)
}

// sessionOf reads the open packet.
func sessionOf(t *testing.T, k *enginetest.Kit, c *enginetest.Conn) *enginetest.Peer {
	t.Helper()
	sid, ok := strings.CutPrefix(c.Next(), `0{"sid":"`)
	if !ok {
		t.Fatalf("no open packet: %q", sid)
	}
	return k.Peer(sid[:20])
}

func wantFrames(t *testing.T, c *enginetest.Conn, want ...string) {
	t.Helper()
	for _, w := range want {
		same(t, "frame", c.Next(), w)
	}
}

func TestWebSocketMessages(t *testing.T) {
	inBubble(t, "EIO-WS-1, EIO-ENC-1, EIO-ENC-3, EIO-DEC-5 one packet per message", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c, p := openWebSocket(t, k)
		c.Text("4hello")
		c.Text("4")
		c.Text("4é€😀")
		c.Binary("\x01\x02")
		c.Binary("")
		wantFrames(t, c, "4hello", "4", "4é€😀", "<0102>", "<>")
		wantMessages(t, p, "hello", "", "é€😀", "<0102>", "<>")
	})
	inBubble(t, "EIO-WS-4 fragments with control frames between", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c, _ := openWebSocket(t, k)
		c.Raw(enginetest.Masked(ws.NewFrame(ws.OpText, false, []byte("4he"))))
		c.Ping("between")
		c.Raw(enginetest.Masked(ws.NewFrame(ws.OpContinuation, false, []byte("l"))))
		c.Raw(enginetest.Masked(ws.NewPongFrame([]byte("unasked"))))
		c.Raw(enginetest.Masked(ws.NewFrame(ws.OpContinuation, true, []byte("lo"))))
		wantFrames(t, c, "pong between", "4hello")
	})
	inBubble(t, "EIO-WS-4 a ping frame is no heartbeat", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		start := time.Now()
		wantFrames(t, c, "2")
		for range 19 {
			time.Sleep(time.Second)
			c.Ping("alive")
			wantFrames(t, c, "pong alive")
		}
		end := p.End()
		same(t, "reason", end.Reason, engine.PingTimeout)
		same(t, "after", end.At.Sub(start), 45*time.Second)
	})
	inBubble(t, "EIO-WS-11, EIO-DEC-2 base64 as text", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		c.Text("bAQIDBA==")
		c.Ping("")
		c.Next()
		wantMessages(t, p, "<01020304>")
	})
	inBubble(t, "EIO-WS-12, EIO-ENC-4, EIO-RT-7 a peer that cannot take binary", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c := k.Dial(websocket + "&b64=1")
		sessionOf(t, k, c)
		c.Binary("\x01\x02\x03\x04")
		c.Binary("")
		c.Text("4text")
		wantFrames(t, c, "bAQIDBA==", "b", "4text")
	})
	inBubble(t, "EIO-RT-7 an empty b64 says nothing", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c := k.Dial(websocket + "&b64=")
		sessionOf(t, k, c)
		c.Binary("\x01")
		wantFrames(t, c, "<01>")
	})
	inBubble(t, "EIO-WS-19 order", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		want := make([]string, 0, 600)
		for i := range 300 {
			s := strings.Repeat("x", i)
			p.Send(s)
			p.SendBinary("\x00")
			want = append(want, "4"+s, "<00>")
		}
		wantFrames(t, c, want...)
	})
	inBubble(t, "EIO-POST-13 open, upgrade, pong and noop are ignored", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c, _ := openWebSocket(t, k)
		for _, s := range []string{"0{}", "3", "5", "6", "4x"} {
			c.Text(s)
		}
		wantFrames(t, c, "4x")
	})
}

// Bytes that come with the handshake, in the same segment.
func TestWebSocketAhead(t *testing.T) {
	dial := func(k *enginetest.Kit, query string, ahead []byte) *enginetest.Conn {
		return k.DialRequest(enginetest.Request{Query: query, Header: enginetest.Handshake(), Ahead: ahead})
	}
	inBubble(t, "EIO-WS-5 messages", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		two := append(enginetest.MaskedText("4a"), enginetest.MaskedText("4b")...)
		c := dial(k, websocket, two[:len(two)-1])
		sessionOf(t, k, c)
		wantFrames(t, c, "4a")
		c.Raw(two[len(two)-1:])
		wantFrames(t, c, "4b")
	})
	inBubble(t, "EIO-WS-5 garbage with the handshake of a session", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c := dial(k, websocket, []byte("garbage garbage"))
		p := sessionOf(t, k, c)
		if got := c.Next(); !strings.HasPrefix(got, "close 1002") {
			t.Errorf("frame: %q", got)
		}
		same(t, "reason", p.End().Reason, engine.TransportError)
	})
	inBubble(t, "EIO-WS-5 garbage with the handshake of an upgrade", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := dial(k, websocket+"&sid="+p.SID, []byte("garbage garbage"))
		same(t, "the connection", c.Next(), "end")
		p.Send("unharmed")
		same(t, "poll", p.Get(), "200 4unharmed")
	})
	inBubble(t, "EIO-WS-5 a whole upgrade", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		p := k.OpenPolling()
		var ahead []byte
		for _, s := range []string{"2probe", "5", "4x"} {
			ahead = append(ahead, enginetest.MaskedText(s)...)
		}
		c := dial(k, websocket+"&sid="+p.SID, ahead)
		wantFrames(t, c, "3probe", "4x")
	})
}

// What ends a session over WebSocket, what the client sees of it, and what the
// handler is told.
func TestWebSocketEnds(t *testing.T) {
	const limit = 100
	raw := enginetest.Masked
	text := enginetest.MaskedText
	reserved := ws.NewTextFrame([]byte("4x"))
	reserved.Header.Rsv = ws.Rsv(true, false, false)
	unmasked, err := ws.CompileFrame(ws.NewTextFrame([]byte("4x")))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		sent   []byte
		closed string
		reason engine.Reason
	}{
		{"EIO-WS-6 one past the limit", text("4" + strings.Repeat("x", limit)), "close 1009", engine.TransportError},
		{"EIO-WS-6 binary", raw(ws.NewBinaryFrame(make([]byte, limit+1))), "close 1009", engine.TransportError},
		{"EIO-WS-7 not UTF-8", text("4\xff"), "close 1007", engine.TransportError},
		{"EIO-WS-7 RSV bits", raw(reserved), "close 1002", engine.TransportError},
		{"EIO-WS-7 unmasked", unmasked, "close 1002", engine.TransportError},
		{"EIO-WS-7 reserved opcode", raw(ws.NewFrame(3, true, nil)), "close 1002", engine.TransportError},
		{"EIO-WS-7 continuation of nothing", raw(ws.NewFrame(ws.OpContinuation, true, nil)), "close 1002", engine.TransportError},
		{"EIO-WS-8, EIO-DEC-3 empty text", text(""), "close", engine.ParseError},
		{"EIO-WS-8, EIO-DEC-4 7", text("7"), "close", engine.ParseError},
		{"EIO-WS-8 abc", text("abc"), "close", engine.ParseError},
		{"EIO-WS-8 {}", text("{}"), "close", engine.ParseError},
		{"EIO-WS-9 ping", text("2"), "close", engine.TransportError},
		{"EIO-WS-10 probe on a session's connection", text("2probe"), "close", engine.TransportError},
		{"EIO-WS-13 close frame", raw(ws.NewCloseFrame(nil)), "close", engine.TransportClose},
		{"EIO-WS-13 close frame with a code", raw(ws.NewCloseFrame(ws.NewCloseFrameBody(1001, "bye"))), "close 1001", engine.TransportClose},
		{"EIO-WS-13 application's code", raw(ws.NewCloseFrame(ws.NewCloseFrameBody(4000, ""))), "close 4000", engine.TransportClose},
		{"EIO-WS-15 better: 1 closes", text("1"), "close", engine.TransportClose},
	} {
		inBubble(t, c.name, engine.Options{MaxHTTPBufferSize: limit}, func(t *testing.T, k *enginetest.Kit) {
			conn, p := openWebSocket(t, k)
			other, _ := openWebSocket(t, k)
			conn.Raw(append(text("4before"), c.sent...))
			conn.Raw(text("4behind"))                                   // on a connection that may have been closed by then
			if got := strings.TrimSpace(conn.Next()); got != c.closed { // without a text, as in the reference
				t.Errorf("got %q, want %q", got, c.closed)
			}
			end := p.End()
			same(t, "reason", end.Reason, c.reason)
			wantMessages(t, p, "before")
			same(t, "GET", k.Do(enginetest.Request{Query: polling + "&sid=" + p.Session.ID()}).String(), unknownSession)
			_ = conn.Close()
			synctest.Wait()
			same(t, "sessions", k.Remembered(), 1)
			same(t, "the other client hears", other.Waiting(), "")
		})
	}
	inBubble(t, "EIO-WS-6 exactly the limit", engine.Options{MaxHTTPBufferSize: limit}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c, _ := openWebSocket(t, k)
		exact := "4" + strings.Repeat("x", limit-1)
		c.Text(exact)
		wantFrames(t, c, exact)
	})
	inBubble(t, "EIO-WS-13 connection lost", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		_ = c.Close()
		same(t, "reason", p.End().Reason, engine.TransportClose)
		synctest.Wait()
		same(t, "sessions", k.Remembered(), 0)
	})
	inBubble(t, "EIO-WS-14 the server closes, what was sent comes first", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		start := time.Now()
		p.Send("last words")
		p.Session.Close(nil)
		end := p.End()
		same(t, "reason", end.Reason, engine.ForcedClose)
		same(t, "without waiting for the client", end.At.Sub(start), 0)
		if err := p.Session.SendMessage(false, nil); err == nil {
			t.Error("a closed session takes messages")
		}
		wantFrames(t, c, "4last words", "close")
		c.SendClose(0)
		_ = c.Close()
		wantFrames(t, c, "end")
	})
	inBubble(t, "EIO-WS-16 ping timeout", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c, p := openWebSocket(t, k)
		wantFrames(t, c, "2", "close")
		same(t, "reason", p.End().Reason, engine.PingTimeout)
	})
}

func TestWebSocketHandshake(t *testing.T) {
	with := func(name string, values ...string) func(k *enginetest.Kit) enginetest.Request {
		return func(*enginetest.Kit) enginetest.Request {
			h := enginetest.Handshake()
			if h[name] = values; len(values) == 0 {
				delete(h, name)
			}
			return enginetest.Request{Query: websocket, Header: h}
		}
	}
	for _, c := range []struct {
		name    string
		request func(*enginetest.Kit) enginetest.Request
		want    string
	}{
		{"EIO-WS-2 no key", with("Sec-Websocket-Key"), "400 Missing or invalid Sec-WebSocket-Key header"},
		{"EIO-WS-2 wrong key", with("Sec-Websocket-Key", "abc"), "400 Missing or invalid Sec-WebSocket-Key header"},
		{"EIO-WS-2 two keys", with("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="), "400 Missing or invalid Sec-WebSocket-Key header"},
		{"EIO-WS-2 another protocol", with("Upgrade", "h2c"), "400 Invalid Upgrade header"},
		{"EIO-WS-2 old version", with("Sec-Websocket-Version", "7"), "400 Missing or invalid Sec-WebSocket-Version header"},
		{"EIO-WS-2 no version", with("Sec-Websocket-Version"), "400 Missing or invalid Sec-WebSocket-Version header"},
		{"EIO-WS-2 invalid subprotocol", with("Sec-Websocket-Protocol", "a b"), "400 Invalid Sec-WebSocket-Protocol header"},
		{"EIO-WS-2 subprotocol twice", with("Sec-Websocket-Protocol", "a, b, a"), "400 Invalid Sec-WebSocket-Protocol header"},
	} {
		inBubble(t, c.name, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			a := k.Do(c.request(k))
			same(t, "answer", a.String(), c.want)
			same(t, "connection", a.Header.Get("Connection"), "close")
			same(t, "content type", a.Header.Get("Content-Type"), "text/html")
			if strings.Contains(c.want, "Version") {
				same(t, "versions", a.Header.Get("Sec-WebSocket-Version"), "13, 8")
			}
			same(t, "sessions", k.Remembered(), 0)
		})
	}
	for _, c := range []struct {
		name    string
		request func(*enginetest.Kit) enginetest.Request
	}{
		{"EIO-WS-2 Firefox", with("Connection", "keep-alive, Upgrade")},
		{"EIO-WS-2 any case", with("Upgrade", "WebSocket")},
		{"EIO-WS-2 version 8", with("Sec-Websocket-Version", "8")},
		{"EIO-WS-2 extensions are not looked at", with("Sec-Websocket-Extensions", "permessage-deflate; =;,")},
	} {
		inBubble(t, c.name, engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
			k.OnMessage = enginetest.Echo
			conn := k.DialRequest(c.request(k))
			sessionOf(t, k, conn)
			same(t, "extensions", conn.Head.Header.Get("Sec-WebSocket-Extensions"), "")
			conn.Text("4x")
			wantFrames(t, conn, "4x")
		})
	}
	inBubble(t, "EIO-WS-3 the first subprotocol", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		c := k.DialRequest(with("Sec-Websocket-Protocol", "chat, superchat")(k))
		same(t, "protocol", c.Head.Header.Get("Sec-WebSocket-Protocol"), "chat")
	})
}

// A big message in small pieces has to arrive, and costs the peer next to it
// nothing.
func TestWebSocketTrickle(t *testing.T) {
	inBubble(t, "EIO-WS-4 byte by byte", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c, _ := openWebSocket(t, k)
		long := strings.Repeat("€", 5000)
		for b := range bytes.SplitSeq(enginetest.MaskedText("4"+long), nil) {
			c.Raw(b)
		}
		wantFrames(t, c, "4"+long)
	})
}

// A brokenConn can be read, which brings nothing, but not be written to.
type brokenConn struct{ net.Conn }

func (brokenConn) Write([]byte) (int, error) { return 0, errors.New("cable cut") }

func TestWebSocketWriteError(t *testing.T) {
	t.Run("EIO-WS-17", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			k := enginetest.New(t, engine.Options{})
			server, client := net.Pipe()
			defer client.Close()
			k.Serve(t.Context(), &quickExchange{conn: brokenConn{server}, req: engine.Request{
				Method: http.MethodGet, Header: enginetest.Handshake(),
				Query: url.Values{"EIO": {"4"}, "transport": {"websocket"}},
			}})
			synctest.Wait()
			end := k.LastPeer().End()
			same(t, "reason", end.Reason, engine.TransportError)
			same(t, "error", end.Err.Error(), "cable cut")
			same(t, "sessions", k.Remembered(), 0)
		})
	})
}
