package forward

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
)

// Options are the settings of a [Router]. All servers of a cluster need the same Secret, and
// TLS on all of them or on none.
type Options struct {
	// Listen is the address that the router listens on for other servers, for example
	// ":7400". Only servers of the cluster have to reach it. Without it, the others forward
	// polls and POSTs to this server over the broker, and clients that it has do not upgrade
	// to a WebSocket on another server.
	Listen string

	// Address is where other servers reach this one: the address of the machine or of the
	// pod, without a port if it is that of Listen. It may be left out if Listen has a host.
	Address string

	// Secret shows that a request comes from a server of the cluster. It needs at least 16
	// bytes: use a random value, such as that of "openssl rand -hex 32". It signs requests,
	// and is never sent.
	Secret string

	// TLS, if not nil, encrypts what the servers send each other. It has the certificate of
	// this server and the authorities of the others. Without it, use a network that nobody
	// else can read. What goes over the broker is as secret as the connection with that.
	TLS *tls.Config

	// MaxRequests is how many requests may be forwarded at the same time, 10,000 by default.
	// A poll that waits counts as well. Beyond that, requests are answered 503. Over the
	// broker, another server may have twice as many at this one.
	MaxRequests int

	// MaxTunnels is how many WebSockets of clients may lead through this server to another
	// one, 10,000 by default. Beyond that, clients stay with polling.
	MaxTunnels int
}

const (
	minSecret          = 16
	defaultMaxRequests = 10_000
	defaultMaxTunnels  = 10_000
)

// withDefaults checks the options and fills the defaults in.
func (o *Options) withDefaults() error {
	switch {
	case len(o.Secret) < minSecret:
		return fmt.Errorf("forward: Options.Secret has %d bytes: use a random one of at least %d", len(o.Secret), minSecret)
	case o.Listen == "" && (o.Address != "" || o.TLS != nil):
		return errors.New("forward: Options.Address or TLS is set, and Listen is not: without Listen, requests are forwarded over the broker")
	case o.MaxRequests < 0 || o.MaxTunnels < 0:
		return errors.New("forward: MaxRequests or MaxTunnels is negative: leave it 0 for the default")
	case o.TLS != nil && len(o.TLS.Certificates) == 0 && o.TLS.GetCertificate == nil && o.TLS.GetConfigForClient == nil:
		return errors.New("forward: Options.TLS has no certificate for this server")
	}
	o.MaxRequests = cmp.Or(o.MaxRequests, defaultMaxRequests)
	o.MaxTunnels = cmp.Or(o.MaxTunnels, defaultMaxTunnels)
	return nil
}

// address returns where others reach a listener.
func (o *Options) address(l net.Listener) (string, error) {
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "", fmt.Errorf("forward: Options.Listen is no TCP address: %w", err)
	}
	if o.Address != "" {
		if _, _, err := net.SplitHostPort(o.Address); err == nil {
			return o.Address, nil
		}
		return net.JoinHostPort(o.Address, port), nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "", errors.New("forward: Options.Address is empty, and Listen has no host: other servers need to know where they reach this one")
	}
	return l.Addr().String(), nil
}
