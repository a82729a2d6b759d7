package sio

import (
	"github.com/sioplug/sioplug/internal/own"
)

// Clustered reports whether the server has an [Options.Adapter], so that there may be
// other servers.
func (n *Namespace) Clustered() bool { return n.server.opts.Adapter != nil }

// OnOwnServerEvent is [Namespace.OnServerEvent] for packages of this module. Applications
// cannot make an event of this type.
func (n *Namespace) OnOwnServerEvent(event own.Event, h ServerHandler) {
	n.onServerEvent(string(event), h)
}

// OwnServerSideEmit is [Namespace.ServerSideEmit] for packages of this module.
func (n *Namespace) OwnServerSideEmit(event own.Event, args ...any) error {
	return n.serverSideEmit(string(event), args)
}
