package engine_test

import (
	"bytes"
	"compress/flate"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
	"github.com/sioplug/sioplug/internal/frame"
)

const extensions = "Sec-Websocket-Extensions"

// offering is a handshake for a session, or for a new one, that offers to
// compress.
func offering(query string) enginetest.Request {
	h := enginetest.Handshake()
	h[extensions] = []string{"permessage-deflate; client_max_window_bits"}
	return enginetest.Request{Query: query, Header: h}
}

// deflated returns a frame with a compressed message, as clients send it.
func deflated(t *testing.T, op ws.OpCode, message string) ws.Frame {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.DefaultCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, message); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f := ws.NewFrame(op, true, bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff")))
	f.Header.Rsv = ws.Rsv(true, false, false)
	return f
}

// inflated reads a compressed message of the server.
func inflated(t *testing.T, c *enginetest.Conn) string {
	t.Helper()
	f, ok := c.NextFrame()
	if !ok {
		t.Fatal("the connection ended")
	}
	p, err := io.ReadAll(flate.NewReader(strings.NewReader(f.Payload + "\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	if err != nil {
		t.Fatalf("%q is not compressed: %v", f.Payload, err)
	}
	return string(p)
}

func TestPerMessageDeflate(t *testing.T) {
	inBubble(t, "EIO-WD-1, EIO-WS-2, EIO-WS-24 off", engine.Options{}, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c := k.DialRequest(offering(websocket))
		same(t, "answers", len(c.Head.Header[extensions]), 0)
		p := sessionOf(t, k, c)
		c.Text("4" + strings.Repeat("a", 2000))
		wantFrames(t, c, "4"+strings.Repeat("a", 2000))
		c.Raw(enginetest.Masked(deflated(t, ws.OpText, "4hi")))
		same(t, "end", p.End().Reason, engine.TransportError)
	})
	on := engine.Options{PerMessageDeflate: &engine.PerMessageDeflate{}}
	inBubble(t, "EIO-WD-1, EIO-WD-2 on", on, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c := k.DialRequest(offering(websocket))
		same(t, "answer", c.Head.Header.Get(extensions),
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover")
		p := sessionOf(t, k, c) // it is below the threshold
		small, large := strings.Repeat("a", 1022), strings.Repeat("é", 512)
		for range 2 {
			c.Raw(enginetest.Masked(deflated(t, ws.OpText, "4"+small)))
			c.Text("4" + large)
			c.Raw(enginetest.Masked(deflated(t, ws.OpBinary, strings.Repeat("b", 2000))))
			same(t, "small", c.Next(), "4"+small)
			same(t, "large", inflated(t, c), "4"+large)
			same(t, "binary", inflated(t, c), strings.Repeat("b", 2000))
		}
		same(t, "messages", len(p.Messages()), 6)
	})
	inBubble(t, "EIO-WD-1 not offered", on, func(t *testing.T, k *enginetest.Kit) {
		k.OnMessage = enginetest.Echo
		c, _ := openWebSocket(t, k)
		same(t, "answers", len(c.Head.Header[extensions]), 0)
		c.Text("4" + strings.Repeat("a", 2000))
		wantFrames(t, c, "4"+strings.Repeat("a", 2000))
	})
	inBubble(t, "EIO-WD-1 after an upgrade", on, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		c := k.DialRequest(offering("EIO=4&transport=websocket&sid=" + p.SID))
		if got := c.Head.Header.Get(extensions); got == "" {
			t.Error("the offer was declined")
		}
		c.Text("2probe")
		wantFrames(t, c, "3probe")
		c.Text("5")
		p.Send(strings.Repeat("a", 2000))
		same(t, "message", inflated(t, c), "4"+strings.Repeat("a", 2000))
	})
}

func TestPerMessageDeflateOptions(t *testing.T) {
	for name, c := range map[string]struct {
		opts engine.PerMessageDeflate
		want string
	}{
		"takeover": {
			engine.PerMessageDeflate{ServerContextTakeover: true, ClientContextTakeover: true}, "permessage-deflate",
		},
		"windows": {
			engine.PerMessageDeflate{ServerMaxWindowBits: 10, ClientMaxWindowBits: 9, ServerContextTakeover: true},
			"permessage-deflate; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=9",
		},
	} {
		inBubble(t, "EIO-WD-1 "+name, engine.Options{PerMessageDeflate: &c.opts}, func(t *testing.T, k *enginetest.Kit) {
			same(t, "answer", k.DialRequest(offering(websocket)).Head.Header.Get(extensions), c.want)
		})
	}
}

func TestPerMessageDeflateViolations(t *testing.T) {
	const limit = 2000
	opts := engine.Options{MaxHTTPBufferSize: limit, PerMessageDeflate: &engine.PerMessageDeflate{}}
	bad := deflated(t, ws.OpText, "4")
	bad.Payload = []byte("garbage")
	bad.Header.Length = int64(len(bad.Payload))
	for name, c := range map[string]struct {
		sent ws.Frame
		want string
	}{
		"EIO-WD-4 bomb":         {deflated(t, ws.OpText, "4"+strings.Repeat("x", 1<<20)), "close 1009"},
		"EIO-WD-4 one too many": {deflated(t, ws.OpBinary, strings.Repeat("x", limit+1)), "close 1009"},
		"EIO-WS-7 not UTF-8":    {deflated(t, ws.OpText, "4\xff"), "close 1007"},
		"EIO-WS-7 bad data":     {bad, "close 1007"},
	} {
		inBubble(t, name, opts, func(t *testing.T, k *enginetest.Kit) {
			d := k.DialRequest(offering(websocket))
			p := sessionOf(t, k, d)
			d.Raw(enginetest.Masked(deflated(t, ws.OpText, "4"+strings.Repeat("x", limit-1))))
			d.Raw(enginetest.Masked(c.sent))
			if got := d.Next(); !strings.HasPrefix(got, c.want) {
				t.Errorf("the client got %q, want %q", got, c.want)
			}
			same(t, "reason", p.End().Reason, engine.TransportError)
			same(t, "messages before", len(p.Messages()), 1)
		})
	}
}

func TestPerMessageDeflateBroadcast(t *testing.T) {
	on := engine.Options{PerMessageDeflate: &engine.PerMessageDeflate{}}
	inBubble(t, "EIO-WD-3 compressed once, and not for those who did not ask", on, func(t *testing.T, k *enginetest.Kit) {
		text := "4" + strings.Repeat("a", 2000)
		f := frame.Text(append(frame.Buffer(len(text)), text...))
		one, two := k.DialRequest(offering(websocket)), k.DialRequest(offering(websocket))
		plain := k.Dial(websocket)
		for _, c := range []*enginetest.Conn{one, two, plain} {
			if err := sessionOf(t, k, c).Session.Send(f); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "one", inflated(t, one), text)
		compressed := f.Compressed()
		same(t, "two", inflated(t, two), text)
		same(t, "plain", plain.Next(), text)
		same(t, "compressed once", f.Compressed(), compressed)
	})
}

// A request that asks for it in a way of its own is not refused for that.
func TestPerMessageDeflateDeclined(t *testing.T) {
	on := engine.Options{PerMessageDeflate: &engine.PerMessageDeflate{}}
	inBubble(t, "EIO-WD-1 declined", on, func(t *testing.T, k *enginetest.Kit) {
		r := offering(websocket)
		r.Header[extensions] = []string{`permessage-deflate; server_max_window_bits=99, ;;"`}
		c := k.DialRequest(r)
		same(t, "status", c.Head.StatusCode, http.StatusSwitchingProtocols)
		same(t, "answers", len(c.Head.Header[extensions]), 0)
	})
}
