package mounttest

import (
	"net/http"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

const (
	webSocket = "EIO=4&transport=websocket"
	key       = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" // the example of RFC 6455
	version   = "Sec-WebSocket-Version: 13"
	accept    = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// Handshakes tests which WebSocket handshakes are accepted and which are refused, and
// the answers. They are the same in all frameworks, whatever library takes part.
func (f Framework) Handshakes(t *testing.T) {
	t.Helper()
	t.Run("refused", f.refusedHandshakes)
	t.Run("accepted", f.acceptedHandshakes)
}

func (f Framework) refusedHandshakes(t *testing.T) {
	srv, d := f.serve(t, nil, App{}, nothing)
	for name, tt := range map[string]struct {
		method string
		header []string
		want   string
	}{
		"no key": {
			http.MethodGet,
			[]string{"Connection: Upgrade", "Upgrade: websocket", version},
			"Missing or invalid Sec-WebSocket-Key header",
		},
		"short key": {
			http.MethodGet,
			[]string{"Connection: Upgrade", "Upgrade: websocket", version, "Sec-WebSocket-Key: c2hvcnQ="},
			"Missing or invalid Sec-WebSocket-Key header",
		},
		"two keys": {
			http.MethodGet,
			[]string{"Connection: Upgrade", "Upgrade: websocket", version, key, key},
			"Missing or invalid Sec-WebSocket-Key header",
		},
		"version": {
			http.MethodGet,
			[]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 7", key},
			"Missing or invalid Sec-WebSocket-Version header",
		},
		"no version": {
			http.MethodGet,
			[]string{"Connection: Upgrade", "Upgrade: websocket", key},
			"Missing or invalid Sec-WebSocket-Version header",
		},
		"other protocol": {
			http.MethodGet,
			[]string{"Connection: Upgrade", "Upgrade: other", version, key},
			"Invalid Upgrade header",
		},
		"subprotocol twice": {
			http.MethodGet,
			[]string{"Connection: Upgrade", "Upgrade: websocket", version, key, "Sec-WebSocket-Protocol: a, a"},
			"Invalid Sec-WebSocket-Protocol header",
		},
		"no upgrade": {
			http.MethodGet,
			[]string{"Upgrade: websocket", version, key},
			`{"code":3,"message":"Bad request"}`,
		},
		"POST": {
			http.MethodPost,
			[]string{"Connection: Upgrade", "Upgrade: websocket", version, key, "Content-Length: 0"},
			"Bad handshake method",
		},
	} {
		t.Run(name, func(t *testing.T) {
			res := exchange(t, d, tt.method, webSocket, tt.header...)
			if res.status != http.StatusBadRequest || res.body != tt.want {
				t.Errorf("%d %s, want %s", res.status, res.body, tt.want)
			}
			versions := strings.Join(res.header["Sec-Websocket-Version"], " and ")
			if (versions == "13, 8") != strings.Contains(tt.want, "Version") || versions != "" && versions != "13, 8" {
				t.Errorf("versions %q", versions)
			}
			for _, k := range []string{"Upgrade", "Sec-Websocket-Accept"} {
				if res.header[k] != nil {
					t.Errorf("%s: %q", k, res.header[k])
				}
			}
		})
	}
	if n := srv.ClientsCount(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func (f Framework) acceptedHandshakes(t *testing.T) {
	deflate := &sio.Options{PerMessageDeflate: &sio.PerMessageDeflate{}}
	const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
	for name, tt := range map[string]struct {
		opts                 *sio.Options
		header               []string
		protocol, extensions string
	}{
		"plain":             {nil, []string{"Connection: Upgrade", "Upgrade: websocket", version, key}, "", ""},
		"lower case":        {nil, []string{"connection: upgrade", "upgrade: WebSocket", "sec-websocket-version: 13", strings.ToLower(key[:17]) + key[17:]}, "", ""},
		"two connections":   {nil, []string{"Connection: keep-alive", "Connection: Upgrade", "Upgrade: websocket", version, key}, "", ""},
		"one of two":        {nil, []string{"Connection: keep-alive, Upgrade", "Upgrade: websocket", version, key}, "", ""},
		"version 8":         {nil, []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 8", key}, "", ""},
		"subprotocols":      {nil, []string{"Connection: Upgrade", "Upgrade: websocket", version, key, "Sec-WebSocket-Protocol: chat, superchat"}, "chat", ""},
		"extension refused": {nil, []string{"Connection: Upgrade", "Upgrade: websocket", version, key, offer}, "", ""},
		"extension":         {deflate, []string{"Connection: Upgrade", "Upgrade: websocket", version, key, offer}, "", "permessage-deflate"},
	} {
		t.Run(name, func(t *testing.T) { f.accepted(t, tt.opts, tt.header, tt.protocol, tt.extensions) })
	}
	for name, config := range f.Variants {
		t.Run(name, func(t *testing.T) {
			app := App{SignIn: true, Config: config}
			_, d := f.serve(t, deflate, app, nothing)
			checkAccepted(t, exchange(t, d, http.MethodGet, webSocket,
				"Connection: Upgrade", "Upgrade: websocket", version, key, "Sec-WebSocket-Protocol: a", "X-User: ann", offer), "a", "permessage-deflate")
		})
	}
}

func (f Framework) accepted(t *testing.T, opts *sio.Options, header []string, protocol, extensions string) {
	t.Helper()
	_, d := f.serve(t, opts, App{SignIn: true}, nothing)
	res := exchange(t, d, http.MethodGet, webSocket, append([]string{"X-User: ann"}, header...)...)
	checkAccepted(t, res, protocol, extensions)
}

// checkAccepted looks at the answer of 101: each header is there once, and so are those
// of middleware.
func checkAccepted(t *testing.T, res answer, protocol, extensions string) {
	t.Helper()
	if res.status != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", res.status)
	}
	for name, want := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Accept": accept, "X-Signed-In": "ann",
		"Sec-Websocket-Protocol": protocol, "Content-Length": "", "Content-Type": "", "Transfer-Encoding": "",
	} {
		if got := strings.Join(res.header[name], " and "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	got := res.header["Sec-Websocket-Extensions"]
	if want := extensions != ""; (len(got) == 1) != want || len(got) > 1 || want && !strings.HasPrefix(got[0], extensions) {
		t.Errorf("extensions %q, want %q", got, extensions)
	}
}
