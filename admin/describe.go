package sioadmin

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/engine"
)

// A socketInfo describes a socket to the UI.
type socketInfo struct {
	ID        string                     `json:"id"`
	ClientID  string                     `json:"clientId"`
	Transport string                     `json:"transport"`
	Namespace string                     `json:"nsp"`
	Data      map[string]json.RawMessage `json:"data"`
	Handshake handshakeInfo              `json:"handshake"`
	Rooms     []string                   `json:"rooms"`
}

type handshakeInfo struct {
	Address string            `json:"address"`
	Headers map[string]string `json:"headers"`
	Query   map[string]string `json:"query"`
	Issued  int64             `json:"issued"`
	Secure  bool              `json:"secure"`
	Time    string            `json:"time"`
	URL     string            `json:"url"`
	XDomain bool              `json:"xdomain"`
}

// sharedData is what other servers have to know of a socket. Official servers keep it in
// the socket's data under the same name.
type sharedData struct {
	ClientID  string `json:"clientId"`
	Transport string `json:"transport"`
}

const sharedDataName = "_admin"

// clientID identifies a connection. Its session id is a secret, and this tells nothing of it.
func clientID(s *engine.Session) string {
	const length = 12
	sum := sha256.Sum256([]byte("sioadmin client " + s.ID()))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:length]
}

// harmlessHeaders are those that the UI may always see. Cookies and tokens are none of
// them, whatever headers they are in.
func harmlessHeaders() []string {
	return []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Connection", "Dnt", "Origin", "Pragma",
		"Sec-Ch-Ua", "Sec-Ch-Ua-Mobile", "Sec-Ch-Ua-Platform", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site",
		"Sec-Websocket-Extensions", "Sec-Websocket-Version", "Upgrade", "User-Agent",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id",
	}
}

// protocolQuery are the parameters of the protocol itself.
func protocolQuery() []string { return []string{"EIO", "transport", "t", "b64"} }

// A handshakeFilter leaves out what the UI may not see.
type handshakeFilter struct{ headers, query map[string]bool }

func newHandshakeFilter(o *Options) handshakeFilter {
	f := handshakeFilter{headers: make(map[string]bool), query: make(map[string]bool)}
	for _, name := range slices.Concat(harmlessHeaders(), o.ShowHeaders) {
		f.headers[http.CanonicalHeaderKey(name)] = true
	}
	for _, name := range slices.Concat(protocolQuery(), o.ShowQuery) {
		f.query[name] = true
	}
	return f
}

func (f handshakeFilter) describe(h *sio.Handshake) handshakeInfo {
	headers := map[string]string{"host": h.Host}
	for name, values := range h.Header {
		if f.headers[http.CanonicalHeaderKey(name)] {
			headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	query, shown := make(map[string]string), make(url.Values)
	for name, values := range h.Query {
		if f.query[name] {
			query[name], shown[name] = strings.Join(values, ", "), values
		}
	}
	path, _, _ := strings.Cut(h.URL, "?")
	if len(shown) > 0 {
		path += "?" + shown.Encode()
	}
	return handshakeInfo{
		Address: h.Address, Headers: headers, Query: query, Issued: h.Time.UnixMilli(), Secure: h.Secure,
		Time: h.Time.UTC().Format(http.TimeFormat), URL: path, XDomain: h.Header.Get("Origin") != "",
	}
}

// describeRemote describes a socket of another server.
func (f handshakeFilter) describeRemote(namespace string, s *sio.RemoteSocket) socketInfo {
	var shared sharedData
	_ = json.Unmarshal(s.Data[sharedDataName], &shared) // a server that has none is in Production, or not instrumented
	if shared.ClientID == "" {
		shared.ClientID = s.ID
	}
	return socketInfo{
		ID: s.ID, ClientID: shared.ClientID, Transport: shared.Transport, Namespace: namespace,
		Data: shownData(s.Data), Handshake: f.describe(&s.Handshake), Rooms: s.Rooms,
	}
}

// shownData returns the data of a socket without what is ours.
func shownData(data map[string]json.RawMessage) map[string]json.RawMessage {
	shown := make(map[string]json.RawMessage, len(data))
	maps.Copy(shown, data)
	delete(shown, sharedDataName)
	return shown
}
