package sio

import (
	"errors"
	"slices"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/own"
	"github.com/sioplug/sioplug/internal/rescue"
)

// Clustered reports whether the server has an [Options.Adapter], so that there may be
// other servers.
func (n *Namespace) Clustered() bool { return n.server.opts.Adapter != nil }

// OnOwnServerEvent is [Namespace.OnServerEvent] for packages of this module. Applications
// cannot make an event of this type.
func (n *Namespace) OnOwnServerEvent(event own.Event, h ServerHandler) {
	n.onServerEvent(string(event), h)
}

// OwnServerSideEmit is [Namespace.ServerSideEmit] for packages of this module. On a parent,
// it also reaches the children that exist only on other servers. So a handler may be called
// twice for a child.
func (n *Namespace) OwnServerSideEmit(event own.Event, args ...any) error {
	err := n.serverSideEmit(string(event), args)
	if n.pattern == nil {
		return err
	}
	return errors.Join(err, n.emitToParents(event, args))
}

// OnOwnClosing has f run before the namespace leaves the cluster: the last moment for
// OwnServerSideEmit. It is for package users.
func (n *Namespace) OnOwnClosing(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ownClosing = f
}

func (n *Namespace) callOwnClosing() {
	n.mu.Lock()
	f := n.ownClosing
	n.mu.Unlock()
	if f != nil {
		rescue.Each(1, func(int) error {
			f()
			return nil
		}, func(int, error) {}) // it logs its failures itself
	}
}

// OwnStatus is [Server.Cluster] for packages of this module.
func (n *Namespace) OwnStatus() adapter.Status { return n.server.Cluster() }

// OwnParent reports whether this is what [Server.OfFunc] or [Server.OfRegexp] returned, a
// namespace without clients of its own.
func (n *Namespace) OwnParent() bool { return n.pattern != nil }

// OnOwnIdentity has f run when the socket may have another user than before: see
// [Socket.OwnIdentityChanged]. It is for packages of this module. They call it in a
// function of [Ctx.OnAccept], each time.
func (s *Socket) OnOwnIdentity(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.onEndDone {
		s.hooks = append(s.hooks, hook{when: onIdentity, end: f})
	}
}

// OwnIdentityChanged runs the functions of [Socket.OnOwnIdentity], on a goroutine of its
// own, and waits for them.
func (s *Socket) OwnIdentityChanged() {
	s.mu.Lock()
	var fs []func()
	for _, h := range s.hooks {
		if h.when == onIdentity {
			fs = append(fs, h.end)
		}
	}
	s.mu.Unlock()
	rescue.Each(len(fs), func(i int) error {
		fs[i]()
		return nil
	}, func(_ int, err error) { s.logFailure("changing the user of a socket failed", "", err) })
}

// OwnRecoveredRooms returns the rooms of a session that the client continues: those that it
// was in when it lost its connection, and those that it had left before and may still have
// missed events of. It is for a function of [Ctx.OnRecover]. The socket joins them later.
func (s *Socket) OwnRecoveredRooms() []string {
	if !s.Recovered() {
		return nil
	}
	var names []string
	for _, stay := range s.recovery.session.Rooms {
		if !stay.Pinned && !slices.Contains(names, stay.Room) {
			names = append(names, stay.Room)
		}
	}
	return names
}
