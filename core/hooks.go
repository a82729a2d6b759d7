package sio

import (
	"slices"

	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A hook is a function to be run at a certain moment of a socket's life.
type hook struct {
	when hookTime
	run  Handler // for onAccept and onRecover
	end  func()  // for onEnd and onIdentity
}

type hookTime uint8

const (
	onAccept   hookTime = iota // when the client has been accepted
	onRecover                  // to decide about a client that skips the connect chain
	onEnd                      // when the socket has ended
	onIdentity                 // when the socket may have another user
)

// ofSocket reports whether a hook is of one socket. Others are those of the connect chain,
// which a recovered socket inherits.
func (h hook) ofSocket() bool { return h.when == onEnd || h.when == onIdentity }

// OnAccept has h run once the client has been accepted, before the handlers of
// [Namespace.OnConnect], and again each time that the client recovers its
// session, which skips the connect chain. It is for middleware of
// [Namespace.UseConnect] that has to join rooms, or watch over the socket for as
// long as it is connected; elsewhere it panics. An error disconnects the client.
func (c *Ctx) OnAccept(h Handler) { c.addHook("OnAccept", hook{when: onAccept, run: h}) }

// OnRecover has check run when the client recovers its session, which skips the connect
// chain. It runs before the client is sent anything, in the order of these calls. It is
// for middleware of [Namespace.UseConnect] that has to check the client each time that
// it connects; elsewhere it panics. See [Recovery].
//
// An error refuses the client. If it is or wraps [ErrNotRecovered], the client gets a
// fresh socket instead, which goes through the connect chain like that of a new client.
// Then its id, rooms, values and missed events are lost.
func (c *Ctx) OnRecover(check Handler) { c.addHook("OnRecover", hook{when: onRecover, run: check}) }

func (c *Ctx) addHook(method string, h hook) {
	if c.task.kind != taskConnect || c.state.Load() == stateConnected {
		misuse.Panic("sio: Ctx." + method + " outside of the connect chain: use it in the middleware of UseConnect")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hooks = append(c.hooks, h)
}

// OnEnd has f run when the socket has ended, whether its client was accepted or not:
// after its last handler, and after the functions of [Namespace.OnDisconnect]. It is for
// resources of one socket, such as a timer, and costs less than [context.AfterFunc]. If
// the socket has ended already, OnEnd does nothing and returns false.
func (s *Socket) OnEnd(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.onEndDone {
		s.hooks = append(s.hooks, hook{when: onEnd, end: f})
	}
	return !s.onEndDone
}

// hooksFor returns the hooks for a moment. Without a log, the hooks of the connect chain
// are not needed again, so it removes them.
func (s *Socket) hooksFor(when hookTime) (hs []Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hooks {
		if h.when == when {
			hs = append(hs, h.run)
		}
	}
	if s.recovery == nil {
		s.hooks = slices.DeleteFunc(s.hooks, func(h hook) bool { return !h.ofSocket() })
		if len(s.hooks) == 0 {
			s.hooks = nil // there are many sockets
		}
	}
	return hs
}

// recoverableHooks returns the hooks that a recovered socket inherits; mu is held.
func (s *Socket) recoverableHooks() []hook {
	return slices.DeleteFunc(slices.Clone(s.hooks), hook.ofSocket)
}

// runOnEnd runs the functions of OnEnd.
func (s *Socket) runOnEnd() {
	s.mu.Lock()
	s.onEndDone = true
	hooks := slices.Clone(s.hooks)
	s.mu.Unlock()
	s.callOnEnd(hooks)
}

// dropHooks removes all hooks, and runs those of OnEnd: they may free a resource that
// the connect chain takes again.
func (s *Socket) dropHooks() {
	s.mu.Lock()
	hooks := s.hooks
	s.hooks = nil
	s.mu.Unlock()
	s.callOnEnd(hooks)
}

func (s *Socket) callOnEnd(hooks []hook) {
	hooks = slices.DeleteFunc(hooks, func(h hook) bool { return h.when != onEnd })
	rescue.Each(len(hooks), func(i int) error {
		hooks[i].end()
		return nil
	}, func(_ int, err error) { s.logFailure("function of OnEnd failed", eventDisconnect, err) })
}
