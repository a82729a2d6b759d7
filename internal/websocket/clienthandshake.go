package websocket

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A ClientHandshake is an opening handshake from the client's side. Make one with
// [NewClientHandshake].
type ClientHandshake struct {
	key       string
	protocols []string
	deflate   *Deflate
}

// NewClientHandshake returns a handshake that offers these subprotocols, and compression
// if deflate is not nil.
func NewClientHandshake(protocols []string, deflate *Deflate) ClientHandshake {
	var key [keySize]byte
	_, _ = rand.Read(key[:]) // it never fails
	return ClientHandshake{base64.StdEncoding.EncodeToString(key[:]), protocols, deflate}
}

// SetHeader puts the headers of the request into dst (RFC 6455 section 4.1).
func (h ClientHandshake) SetHeader(dst http.Header) {
	dst.Set("Upgrade", "websocket")
	dst.Set("Connection", "Upgrade")
	dst.Set(versionHeader, "13")
	dst.Set(keyHeader, h.key)
	if len(h.protocols) > 0 {
		dst.Set(protocolHeader, strings.Join(h.protocols, ", "))
	}
	if h.deflate != nil {
		dst.Set(extensionsHeader, h.deflate.offer())
	}
}

// Errors of [ClientHandshake.Check].
var (
	errNotUpgraded = errors.New("websocket: the answer does not upgrade to WebSocket")
	errAcceptKey   = errors.New("websocket: invalid Sec-WebSocket-Accept header")
	errProtocol    = errors.New("websocket: the server chose a subprotocol that was not offered")
	errExtension   = errors.New("websocket: the server chose an extension that was not offered")
)

// Check validates the server's answer (RFC 6455 section 4.1). It returns the agreement to
// pass to [Conn.Compress], nil if there is none.
func (h ClientHandshake) Check(status int, header http.Header) (*Agreement, error) {
	switch {
	case status != http.StatusSwitchingProtocols:
		return nil, fmt.Errorf("websocket: unexpected status %d", status)
	case !strings.EqualFold(value(header, "Upgrade"), "websocket") || !IsUpgrade(header):
		return nil, errNotUpgraded
	case value(header, acceptHeader) != accept(h.key):
		return nil, errAcceptKey
	}
	if p := value(header, protocolHeader); p != "" && !slices.Contains(h.protocols, p) {
		return nil, errProtocol
	}
	chosen := strings.TrimSpace(strings.Join(header.Values(extensionsHeader), ","))
	if chosen == "" {
		return nil, nil
	}
	if h.deflate == nil {
		return nil, errExtension
	}
	return h.deflate.agree(chosen)
}

// offer returns the parameters that a client offers.
func (d *Deflate) offer() string {
	p := parameters{
		serverNoTakeover: !d.opts.ServerContextTakeover,
		clientNoTakeover: !d.opts.ClientContextTakeover,
		serverBits:       smallerWindow(0, d.opts.ServerMaxWindowBits),
	}
	return p.String() + "; " + clientWindowBits
}

// agree returns the agreement that a server's answer to the offer makes (RFC 7692
// section 7.1).
func (d *Deflate) agree(chosen string) (*Agreement, error) {
	element, rest := cutUnquoted(chosen, ',')
	name, params := cutUnquoted(element, ';')
	if rest != "" || strings.Trim(name, " \t") != deflateName {
		return nil, errExtension
	}
	p, ok := parseOffer(params)
	switch {
	case !ok,
		p.clientBitsKnown && p.clientBits == 0, // in an answer it needs a value
		!d.opts.ServerContextTakeover && !p.serverNoTakeover,
		d.opts.ServerMaxWindowBits < maxWindowBits && (p.serverBits == 0 || p.serverBits > d.opts.ServerMaxWindowBits):
		return nil, errExtension
	}
	p.clientNoTakeover = p.clientNoTakeover || !d.opts.ClientContextTakeover
	if bits := d.opts.ClientMaxWindowBits; p.clientBits == 0 || bits < p.clientBits {
		p.clientBits = bits
	}
	return &Agreement{deflate: d, params: p}, nil
}

// clientCompression is what [Conn.Compress] sets on the client's end.
func clientCompression(a *Agreement) *compression {
	z := &compression{deflate: a.deflate, outBits: uint8(a.params.clientBits)} //nolint:gosec // at most 15
	if !a.params.clientNoTakeover {
		z.out = newWindow(int(z.outBits))
	}
	if !a.params.serverNoTakeover {
		z.in = newWindow(clientWindow(a.params.serverBits))
	}
	return z
}
