package ratelimit

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"

	sio "github.com/sioplug/sioplug/core"
)

// unknownAddress is the key of all clients whose address is not known. They are limited
// together, as if they had one address. Otherwise the limit would apply to no client
// behind a proxy that sends no address.
const unknownAddress = "unknown"

// addressKey returns the part of an address that clients are limited by.
func (g *guard) addressKey(text string) string {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Is4() && !ip.IsUnspecified() {
		return text // it has one form only, so most need no other
	}
	ip, ok := parseIP(text)
	if !ok {
		g.warnOnce("clients are limited together, because their address is not known: behind a proxy on a Unix socket, or one "+
			"that sends no address, configure which header has it: see \"Addresses\" in docs/ratelimit.md", slog.String("address", truncate(text)))
		return unknownAddress
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip.WithZone(""), g.ipv6).Masked().String()
}

// parseIP parses an address, with or without a port. It refuses unspecified addresses
// such as 0.0.0.0. Fiber passes on the header of a proxy unchanged: in a list, the last
// address is the one that the proxy has added. Clients can make up the others.
func parseIP(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text[strings.LastIndexByte(text, ',')+1:])
	ip, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		ip = withPort.Addr()
	}
	return ip, !ip.Unmap().IsUnspecified()
}

const (
	userPrefix    = "u:"
	addressPrefix = "a:"
)

// userKey returns the user, or the address for a client without a user. The prefixes keep
// the two apart, also if a user is named like an address.
func (g *guard) userKey(user func(*sio.Socket) string, s *sio.Socket) string {
	if u := user(s); u != "" {
		return userPrefix + u
	}
	return addressPrefix + g.addressKey(s.Address())
}

// warnOnce logs a warning for the operator that clients can cause.
func (g *guard) warnOnce(msg string, attr slog.Attr) {
	if g.addressWarned.CompareAndSwap(false, true) {
		//nolint:sloglint // its callers pass constants
		g.log.LogAttrs(context.Background(), slog.LevelWarn, msg, slog.String("limit", g.name), attr)
	}
}

// truncate shortens a text that a client has chosen.
func truncate(text string) string {
	const longest = 100
	return text[:min(len(text), longest)]
}
