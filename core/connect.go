package sio

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/rooms"
)

// connect starts to connect the client to a namespace (SIO section 3.1). It runs on the
// read loop.
func (c *client) connect(p packet.Packet) error {
	if c.atNamespaceLimit() {
		c.observeRefused(nil, p.Namespace, RefusedNamespaceLimit, nil)
		return c.reject(p.Namespace, "too many namespaces")
	}
	ns := c.server.namespace(p.Namespace)
	if ns == nil && len(c.server.parentList()) == 0 { // SIO-CN-3
		c.observeRefused(nil, p.Namespace, RefusedNoNamespace, nil)
		return c.reject(p.Namespace, invalidNamespace)
	}
	if ns == nil || !ns.isReady() || !ns.addClient(context.Background()) {
		ns = c.server.unresolvedNamespace(p.Namespace)
	}
	s := newSocket(c, ns, p.Data)
	if err := c.addSocket(s); err != nil {
		ns.removeClient(false)
		if errors.Is(err, errTooMuchAuth) {
			c.observeRefused(nil, p.Namespace, RefusedAuthLimit, err)
			return c.reject(p.Namespace, err.Error())
		}
		return err
	}
	t := new(task)
	t.init(s, taskConnect)
	t.event = eventConnect
	if _, err := s.queue.Push(queuedTask{t}); err == nil { // otherwise the socket has been ended meanwhile
		c.line.Add(&s.queue)
	}
	return nil
}

const invalidNamespace = "Invalid namespace"

// reject answers a CONNECT for which no socket was made.
func (c *client) reject(namespace, why string) error {
	m, err := c.server.wire.connectError(namespace, wireError{Message: why}.value())
	if err == nil {
		_ = c.session.Send(m...) // the engine knows if it has gone
	}
	return err
}

// unresolvedNamespace returns a stand-in for the namespace of that name. The first task
// of the socket replaces it: see [Socket.resolveNamespace].
func (s *Server) unresolvedNamespace(name string) *Namespace {
	n := newNamespace(s, strings.Clone(name))
	n.unresolved = true
	return n
}

// resolveNamespace replaces the stand-in by the namespace that the client asked for. It
// calls the application, so it is part of the first task and does not run on the read
// loop. If there is no such namespace, it refuses the client and returns nil.
func (s *Socket) resolveNamespace() *Namespace {
	if !s.ns.unresolved {
		return s.ns
	}
	name, why, refused := s.ns.name, invalidNamespace, RefusedNoNamespace
	n, err := s.ns.server.namespaceFor(s.Context(), name, s.Handshake)
	if err != nil {
		s.logFailure("making a namespace failed", eventConnect, err)
		why, refused = internalError().Message, RefusedInternalError
	}
	if n != nil {
		s.client.moveSocket(s, n)
		return n
	}
	if s.end(&DisconnectError{Reason: ReasonServerNamespaceDisconnect}, true) {
		_ = s.client.reject(name, why) // an error means that the session has ended
		s.client.observeRefused(s, name, refused, err)
	}
	return nil
}

// connect accepts or refuses a client. It is the socket's first task.
func (n *Namespace) connect(c *Ctx) {
	s := c.Socket
	defer s.client.limitAuth(s)
	s.id = s.client.newID(n)
	s.prepareRecovery()
	if err := n.admitSocket(c); err != nil && s.disconnectError() == nil {
		s.notRecovered(err)
		s.startAfresh()
		_ = n.admitSocket(c) // a fresh socket has no session that could be at fault
	}
}

// admitSocket accepts or refuses a client. It returns an error if the client cannot
// continue its session and may try again with a new one.
func (n *Namespace) admitSocket(c *Ctx) error {
	s, r := c.Socket, n.routes.Load()
	c.task.endpoint = r.connect
	if err := n.runConnectChain(c, r); err != nil {
		if s.Recovered() && isNotRecovered(err) {
			return err
		}
		if s.Recovered() {
			s.observeRecovery(err, RecoveryRefused)
		}
		s.refuse(c.task, err)
		return nil
	}
	if err := s.accept(c); err != nil || !s.accepted { // the client has gone meanwhile
		if err == nil && s.Recovered() {
			s.observeRecovery(s.disconnectError(), RecoveryClientGone)
		}
		return err
	}
	s.observeConnected()
	n.server.debug("socket connected", slog.String("ns", n.name), slog.String("sid", s.id))
	if err := callAll(c, slices.Concat(s.hooksFor(onAccept), r.onConnect)); err != nil {
		s.logFailure("OnConnect failed", eventConnect, err)
		_ = s.Disconnect() // it cannot fail but for being done already
	}
	return nil
}

// runConnectChain runs the connect chain, or the OnRecover checks in its place.
func (n *Namespace) runConnectChain(c *Ctx, r *routes) error {
	switch {
	case c.skipsMiddlewares():
		return callAll(c, c.hooksFor(onRecover))
	case r.connect.hasNoMiddleware():
		return nil
	default:
		return rescue.Apart(func() error { return r.connect.run(c) })
	}
}

// callAll calls handlers until one returns an error.
func callAll(c *Ctx, hs []Handler) error {
	if len(hs) == 0 {
		return nil
	}
	return rescue.Apart(func() error {
		for _, h := range hs {
			if err := h(c); err != nil {
				return err
			}
		}
		return nil
	})
}

// connectFailed ends a socket whose first task has panicked or ended its goroutine.
func (s *Socket) connectFailed(err error) {
	if !s.accepted {
		s.refuse(nil, err)
		return
	}
	s.logFailure("connecting a socket failed", eventConnect, err)
	_ = s.Disconnect() // it cannot fail but for being done already
}

// accept connects the socket, unless the client has gone. An error concerns the session
// that the socket continues.
func (s *Socket) accept(c *Ctx) error {
	answer, err := s.client.encodeAccepted(s)
	if err != nil {
		s.logFailure("encoding the answer to CONNECT failed", eventConnect, err)
		s.client.session.Close(err)
		return nil
	}
	if s.Recovered() {
		err = s.resume(c, answer)
	} else {
		s.becomeMember(answer, rooms.History{})
	}
	if s.accepted {
		s.client.stopConnectTimeout()
		s.ns.deliverRoomEvents()
	}
	return err
}

// becomeMember makes the socket a member of its namespace, in the rooms that it had
// before. The answer to CONNECT is queued before broadcasts and emits can reach the
// socket. So the client gets the answer first.
func (s *Socket) becomeMember(answer []*frame.Frame, before rooms.History) {
	s.ns.index.Restore(&s.member, s, s.id, before, func() bool {
		s.accepted = s.state.CompareAndSwap(stateConnecting, stateAccepted)
		if s.accepted {
			if s.recovery != nil {
				s.recovery.connectedAt = s.ns.index.Position()
			}
			_ = s.client.session.Send(answer...) // an error means that the session has ended: the socket ends in a moment
			s.state.CompareAndSwap(stateAccepted, stateConnected)
		}
		return s.accepted
	})
}

// refuse answers a CONNECT with an error; the connection stays. t is nil if the task has
// failed.
func (s *Socket) refuse(t *task, err error) {
	s.logFailure("connection refused", eventConnect, err)
	var m []*frame.Frame
	encode := func(w wireError) error {
		return rescue.Apart(func() (err error) {
			m, err = s.client.encodeRefused(s, w)
			return err
		})
	}
	w, _ := toWire(err)
	if failed := encode(w); failed != nil {
		s.logFailure("encoding Error.Data failed", eventConnect, failed)
		_ = encode(internalError()) // only the application's parser can fail
	}
	if s.end(&DisconnectError{Reason: ReasonServerNamespaceDisconnect}, true) {
		_ = s.client.session.Send(s.client.framesFor(m)...) // an error means that the session has ended
		s.observeChainRefused(t, err)
	}
}

// newID returns the id of a new socket. For an old client it derives from the session's,
// which the client knows already (SIO-V2-2).
func (c *client) newID(ns *Namespace) string {
	switch {
	case !c.isRevision4():
		return engine.NewID()
	case ns.name == "/":
		return c.session.ID()
	default:
		return ns.name + "#" + c.session.ID()
	}
}

// encodeAccepted returns the answer to a CONNECT.
func (c *client) encodeAccepted(s *Socket) ([]*frame.Frame, error) {
	if c.isRevision4() {
		return s.wire().connect(s.ns.name, nil)
	}
	data := append(append([]byte(`{"sid":"`), s.id...), '"') // an id needs no escapes
	if s.recovery != nil {
		data = append(append(append(data, `,"pid":"`...), s.recovery.pid...), '"')
	}
	return s.wire().connect(s.ns.name, append(data, '}'))
}

// encodeRefused returns the answer to a CONNECT that the connect chain refused. Old
// clients get the data of the error, or else its message, without an object around it
// (SIO-V2-4).
func (c *client) encodeRefused(s *Socket, w wireError) ([]*frame.Frame, error) {
	switch {
	case !c.isRevision4():
		return s.wire().connectError(s.ns.name, w.value())
	case w.Data != nil:
		return s.wire().connectError(s.ns.name, w.Data)
	default:
		return s.wire().connectError(s.ns.name, w.Message)
	}
}
