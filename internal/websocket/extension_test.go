package websocket_test

import (
	"net/http"
	"testing"

	"github.com/sioplug/sioplug/internal/websocket"
)

const extensions = "Sec-WebSocket-Extensions"

// Options to compress, complete as the package wants them.
func safe() websocket.DeflateOptions {
	return websocket.DeflateOptions{Threshold: 1024, Level: 1, ServerMaxWindowBits: 15, ClientMaxWindowBits: 15}
}

func takeover() websocket.DeflateOptions {
	o := safe()
	o.ServerContextTakeover, o.ClientContextTakeover = true, true
	return o
}

func bits(o websocket.DeflateOptions, server, client int) websocket.DeflateOptions {
	o.ServerMaxWindowBits, o.ClientMaxWindowBits = server, client
	return o
}

// answer is what a server with these options answers to the offers.
func answer(o websocket.DeflateOptions, offers ...string) string {
	offered := http.Header{extensions: offers}
	answered := http.Header{}
	websocket.Handshake{Deflate: websocket.NewDeflate(o).Accept(canonical(offered))}.SetHeader(answered)
	return answered.Get(extensions)
}

func canonical(h http.Header) http.Header {
	c := http.Header{}
	for k, vs := range h {
		for _, v := range vs {
			c.Add(k, v)
		}
	}
	return c
}

const (
	pmd  = "permessage-deflate"
	anew = pmd + "; server_no_context_takeover; client_no_context_takeover"
)

func TestDeflateNegotiation(t *testing.T) { // EIO-WD-1
	for _, c := range []struct {
		name, offer string
		o           websocket.DeflateOptions
		want        string
	}{
		{"nothing", "", safe(), ""},
		{"another", "x-webkit-deflate-frame", safe(), ""},
		{"plain", pmd, safe(), anew},
		{"plain, takeover", pmd, takeover(), pmd},
		{"what browsers offer", pmd + "; client_max_window_bits", safe(), anew},
		{"spaces", "  permessage-deflate ;\tclient_max_window_bits = 10 ", safe(), anew + "; client_max_window_bits=10"},
		{"client_no_context_takeover", pmd + ";client_no_context_takeover", takeover(), pmd + "; client_no_context_takeover"},
		{"server_no_context_takeover", pmd + ";server_no_context_takeover", takeover(), pmd + "; server_no_context_takeover"},
		{
			"all four", pmd + "; server_max_window_bits=9; client_max_window_bits=12; server_no_context_takeover; client_no_context_takeover",
			takeover(), anew + "; server_max_window_bits=9; client_max_window_bits=12",
		},
		{
			"largest windows", pmd + "; server_max_window_bits=15; client_max_window_bits=15", takeover(),
			pmd + "; server_max_window_bits=15; client_max_window_bits=15",
		},
		{
			"smallest windows", pmd + "; server_max_window_bits=8; client_max_window_bits=8", takeover(),
			pmd + "; server_max_window_bits=8; client_max_window_bits=8",
		},
		{"quoted", pmd + `; server_max_window_bits="10"`, takeover(), pmd + "; server_max_window_bits=10"},
		{"server's window, unasked", pmd, bits(takeover(), 12, 15), pmd + "; server_max_window_bits=12"},
		{
			"server's window, asked for a larger one", pmd + ";server_max_window_bits=14", bits(takeover(), 12, 15),
			pmd + "; server_max_window_bits=12",
		},
		{
			"server's window, asked for a smaller one", pmd + ";server_max_window_bits=10", bits(takeover(), 12, 15),
			pmd + "; server_max_window_bits=10",
		},
		{"client's window", pmd + ";client_max_window_bits", bits(takeover(), 15, 11), pmd + "; client_max_window_bits=11"},
		{"client's window, smaller", pmd + ";client_max_window_bits=9", bits(takeover(), 15, 11), pmd + "; client_max_window_bits=9"},
		{"client's window, larger", pmd + ";client_max_window_bits=13", bits(takeover(), 15, 11), pmd + "; client_max_window_bits=11"},
		{"client cannot be told", pmd, bits(takeover(), 15, 11), ""},
		{"second offer", pmd + "; server_max_window_bits=16, " + pmd, safe(), anew},
		{
			"first of two", pmd + "; client_no_context_takeover, " + pmd + "; server_no_context_takeover", takeover(),
			pmd + "; client_no_context_takeover",
		},
		{"beside others", "foo; a=1, bar, " + pmd + ", baz", safe(), anew},
		{"inside a quoted string", `foo; a="x, ` + pmd + `, \", ` + pmd + `, y"`, safe(), ""},
		{"quoted string never ended", `foo; a="x, ` + pmd, safe(), ""},
	} {
		if got := answer(c.o, c.offer); got != c.want {
			t.Errorf("%s: %q to %q, want %q", c.name, got, c.offer, c.want)
		}
	}
	if got := answer(safe(), "foo", pmd+"; bar", pmd); got != anew {
		t.Errorf("in several lines: %q", got)
	}
}

func TestDeflateDeclined(t *testing.T) { // RFC 7692 section 7.1
	for _, params := range []string{
		"foo", "foo=1", "server_no_context_takeover=1", "client_no_context_takeover=true", `client_no_context_takeover=""`,
		"server_no_context_takeover; server_no_context_takeover", "client_no_context_takeover; client_no_context_takeover",
		"server_max_window_bits", "server_max_window_bits=", "server_max_window_bits=7", "server_max_window_bits=16",
		"server_max_window_bits=010", "server_max_window_bits=+10", "server_max_window_bits=-10", "server_max_window_bits=1e1",
		"server_max_window_bits=10; server_max_window_bits=10", "server_max_window_bits=10;server_max_window_bits",
		"client_max_window_bits=", "client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=08",
		"client_max_window_bits; client_max_window_bits", "client_max_window_bits; client_max_window_bits=10",
		"client_max_window_bits=99999999999999999999", `client_max_window_bits="1\0"`, " ", "=", ";",
		"Server_No_Context_Takeover",
	} {
		if got := answer(takeover(), pmd+"; "+params); got != "" {
			t.Errorf("%q is answered %q", params, got)
		}
		if got := answer(takeover(), pmd+"; "+params+", "+pmd); got != pmd {
			t.Errorf("behind %q the next offer is answered %q", params, got)
		}
	}
}

// While compression is off, a client may send there what it likes.
func TestDeflateOff(t *testing.T) { // EIO-WS-2
	var off *websocket.Deflate
	for _, offer := range []string{pmd, `"`, ";;;,,,=", ""} {
		h := request(map[string]string{extensions: offer})
		hs, bad := websocket.Check(http.MethodGet, h)
		if bad != nil {
			t.Fatalf("%q: %v", offer, bad)
		}
		hs.Deflate = off.Accept(h)
		answered := http.Header{}
		hs.SetHeader(answered)
		if got, ok := answered[http.CanonicalHeaderKey(extensions)]; ok {
			t.Errorf("%q is answered %q", offer, got)
		}
	}
}
