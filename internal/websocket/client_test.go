package websocket_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/websocket"
)

// shake is a handshake of our client with our server. It returns both agreements.
func shake(t *testing.T, client, server *websocket.Deflate) (c, s *websocket.Agreement) {
	t.Helper()
	hs := websocket.NewClientHandshake([]string{"a", "b"}, client)
	req, res := http.Header{}, http.Header{}
	hs.SetHeader(req)
	accepted, bad := websocket.Check(http.MethodGet, req)
	if bad != nil {
		t.Fatal(bad)
	}
	accepted.Deflate = server.Accept(req)
	accepted.SetHeader(res)
	c, err := hs.Check(http.StatusSwitchingProtocols, res)
	if err != nil {
		t.Fatal(err)
	}
	return c, accepted.Deflate
}

// Both ends of a connection understand each other, however they compress.
func TestClientAndServer(t *testing.T) {
	t.Parallel()
	window := func(takeover bool, server, client int) *websocket.Deflate {
		o := safe()
		o.ServerContextTakeover, o.ClientContextTakeover = takeover, takeover
		o.ServerMaxWindowBits, o.ClientMaxWindowBits = server, client
		return websocket.NewDeflate(o)
	}
	for name, d := range map[string][2]*websocket.Deflate{
		"none":          {nil, nil},
		"server alone":  {nil, window(true, 15, 15)},
		"client alone":  {window(true, 15, 15), nil},
		"both":          {window(false, 15, 15), window(false, 15, 15)},
		"takeover":      {window(true, 15, 15), window(true, 15, 15)},
		"small windows": {window(true, 9, 10), window(true, 12, 9)},
		"mixed":         {window(false, 15, 15), window(true, 10, 11)},
	} {
		for _, n := range networks() {
			t.Run(name+"/"+n.name, func(t *testing.T) {
				t.Parallel()
				nc, peer := n.pair(t)
				ca, sa := shake(t, d[0], d[1])
				server := websocket.New(nc, limit, nil)
				server.Compress(sa)
				r := &relay{c: server}
				go func() { _ = server.Serve(r) }()
				client := websocket.NewClient(peer, limit, nil)
				client.Compress(ca)
				got := make(chan string, 1)
				go func() { _ = client.Serve(receiver{got}) }()
				for i, size := range []int{0, 1, 125, 126, 2000, 2001, 65_535, 65_536, 100_000} {
					want := json(size, uint64(i))
					if err := send(client, textFrame(want)); err != nil {
						t.Fatal(err)
					}
					if v := <-got; v != want {
						t.Fatalf("%d bytes came back of %d", len(v), len(want))
					}
				}
				_ = client.Close()
			})
		}
	}
}

// A receiver hands on the messages of a connection.
type receiver struct{ got chan<- string }

func (r receiver) Message(_ bool, p []byte) { r.got <- string(p) }
func (receiver) Control(*frame.Frame)       {}
func (receiver) ReadDone() bool             { return true }

// Each frame of a client has a mask of its own (RFC 6455 section 5.3).
func TestClientMasks(t *testing.T) {
	t.Parallel()
	masks := map[[4]byte]bool{}
	for _, f := range []*frame.Frame{textFrame("a"), textFrame("a"), frame.Pong([]byte("b")), frame.Close(1000, "c"), binaryFrame(strings.Repeat("d", 70_000))} {
		before := bytes.Clone(f.Wire())
		p := websocket.AppendMasked(nil, []*frame.Frame{f})
		got, err := ws.ReadFrame(bytes.NewReader(p))
		if err != nil || !got.Header.Masked || !got.Header.Fin {
			t.Fatalf("%+v, %v", got.Header, err)
		}
		masks[got.Header.Mask] = true
		ws.Cipher(got.Payload, got.Header.Mask, 0)
		if !bytes.Equal(got.Payload, f.Payload()) || !bytes.Equal(f.Wire(), before) {
			t.Error("the payload differs")
		}
	}
	if len(masks) != 5 {
		t.Errorf("%d masks for 5 frames", len(masks))
	}
}

// A server must not mask (RFC 6455 section 5.1).
func TestClientRefusesMasks(t *testing.T) {
	t.Parallel()
	var broken *websocket.ProtocolError
	err := websocket.NewClient(nil, limit, nil).Parse(new(recorder), masked(fin|text, "a"))
	if !errors.As(err, &broken) || broken.Code != 1002 {
		t.Error(err)
	}
}

func TestClientHandshakeRefuses(t *testing.T) {
	t.Parallel()
	o := safe()
	o.ServerMaxWindowBits = 10
	d := websocket.NewDeflate(o)
	for name, change := range map[string]func(h http.Header){
		"no upgrade":              func(h http.Header) { h.Del("Upgrade") },
		"no connection":           func(h http.Header) { h.Del("Connection") },
		"no key":                  func(h http.Header) { h.Del("Sec-WebSocket-Accept") },
		"another key":             func(h http.Header) { h.Set("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") },
		"a protocol not offered":  func(h http.Header) { h.Set("Sec-WebSocket-Protocol", "c") },
		"another extension":       func(h http.Header) { h.Set("Sec-WebSocket-Extensions", "foo") },
		"two extensions":          func(h http.Header) { h.Add("Sec-WebSocket-Extensions", "permessage-deflate") },
		"an unknown parameter":    func(h http.Header) { h.Set("Sec-WebSocket-Extensions", "permessage-deflate; x=1") },
		"a window without a size": func(h http.Header) { h.Set("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits") },
		"a takeover": func(h http.Header) {
			h.Set("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=10")
		},
		"a larger window": func(h http.Header) {
			h.Set("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; server_max_window_bits=11")
		},
	} {
		hs := websocket.NewClientHandshake([]string{"a"}, d)
		req, res := http.Header{}, http.Header{}
		hs.SetHeader(req)
		accepted, _ := websocket.Check(http.MethodGet, req)
		accepted.Deflate = d.Accept(req)
		accepted.SetHeader(res)
		if _, err := hs.Check(http.StatusSwitchingProtocols, res); err != nil {
			t.Fatal(err)
		}
		change(res)
		if _, err := hs.Check(http.StatusSwitchingProtocols, res); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	hs := websocket.NewClientHandshake(nil, nil)
	if _, err := hs.Check(http.StatusOK, http.Header{}); err == nil {
		t.Error("status 200: no error")
	}
}

// The offer is that of the JavaScript client, if everything is allowed.
func TestClientOffer_CLI_TR_12(t *testing.T) {
	t.Parallel()
	o := safe()
	o.ServerContextTakeover, o.ClientContextTakeover = true, true
	h := http.Header{}
	websocket.NewClientHandshake(nil, websocket.NewDeflate(o)).SetHeader(h)
	if got := h.Get("Sec-WebSocket-Extensions"); got != "permessage-deflate; client_max_window_bits" {
		t.Error(got)
	}
}

// Whatever a server answers, the client does not panic, and takes only what it offered.
func FuzzClientHandshake(f *testing.F) {
	f.Add("permessage-deflate", "a")
	f.Add("permessage-deflate; server_no_context_takeover; client_max_window_bits=\"10\"", "")
	f.Fuzz(func(t *testing.T, extensions, protocol string) {
		hs := websocket.NewClientHandshake([]string{"a"}, websocket.NewDeflate(safe()))
		req, res := http.Header{}, http.Header{}
		hs.SetHeader(req)
		accepted, _ := websocket.Check(http.MethodGet, req)
		accepted.SetHeader(res)
		res.Set("Sec-WebSocket-Extensions", extensions)
		res.Set("Sec-WebSocket-Protocol", protocol)
		a, err := hs.Check(http.StatusSwitchingProtocols, res)
		if err == nil && strings.TrimSpace(protocol) != "" && strings.TrimSpace(protocol) != "a" {
			t.Errorf("the protocol %q was accepted", protocol)
		}
		if err == nil && a != nil && !strings.Contains(extensions, "server_no_context_takeover") {
			t.Errorf("%q was accepted", extensions)
		}
	})
}

// Whatever a server sends, in whatever pieces, gives the same messages or an error.
func FuzzClientParse(f *testing.F) {
	f.Add([]byte("\x81\x01a\x82\x00\x89\x00"), 3)
	f.Add([]byte("\x01\x01a\x80\x01b\x88\x02\x03\xe8"), 1)
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		whole, parts := new(recorder), new(recorder)
		err := websocket.NewClient(nil, 1000, nil).Parse(whole, bytes.Clone(p))
		c := websocket.NewClient(nil, 1000, nil)
		var perr error
		rest := bytes.Clone(p)
		for len(rest) > 0 && perr == nil {
			n := min(max(cut, 1), len(rest))
			perr = c.Parse(parts, rest[:n])
			rest = rest[n:]
		}
		if (err == nil) != (perr == nil) {
			t.Errorf("in one piece: %v, in several: %v", err, perr)
		}
	})
}
