package sio

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/internal/rescue"
)

// A family are the namespaces that a pattern brings about.
type family struct {
	match    func(name string, h *Handshake) (bool, error)
	static   bool // match needs no handshake, so Of can ask it
	children map[string]*Namespace
}

// OfFunc returns a parent of namespaces that come about when a client connects
// to a name that there is no namespace for, and for which match returns true
// (SIO section 6.1). Everything registered on the parent applies to all of them,
// and a broadcast to the parent reaches the clients of all. It has no clients of
// its own. Several parents are asked in the order of their creation.
//
// match is asked with the client's handshake, including what it sent to
// authenticate itself. While it runs nothing else of this client is read, so
// it may look something up but should not take long; what takes longer belongs
// into [Namespace.UseConnect]. See also [Options.CleanupEmptyChildNamespaces].
func (s *Server) OfFunc(match func(name string, h *Handshake) bool) *Namespace {
	if match == nil {
		misuse("OfFunc got a nil function")
	}
	return s.addParent(&family{match: func(name string, h *Handshake) (ok bool, err error) {
		err = rescue.Call(func() error { ok = match(name, h); return nil })
		return ok, err
	}})
}

// OfRegexp is [Server.OfFunc] for names that match a pattern. Names begin with a
// slash, so patterns are best anchored: ^/dynamic-\d+$.
func (s *Server) OfRegexp(pattern *regexp.Regexp) *Namespace {
	if pattern == nil {
		misuse("OfRegexp got a nil pattern")
	}
	return s.addParent(&family{static: true, match: func(name string, _ *Handshake) (bool, error) {
		return pattern.MatchString(name), nil
	}})
}

func (s *Server) addParent(f *family) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.children = make(map[string]*Namespace)
	n := newNamespace(s, fmt.Sprintf("/_%d", len(s.parents))) // as the reference calls it (SIO-DY-1)
	n.family = f
	s.parents = append(s.parents, n)
	return n
}

// OnNewNamespace adds a function that is called with every namespace that comes
// about from now on, before its first client is connected: those of [Server.Of]
// and the children of [Server.OfFunc] and [Server.OfRegexp] (SIO-NS-7).
func (s *Server) OnNewNamespace(f func(n *Namespace)) {
	if f == nil {
		misuse("OnNewNamespace got a nil function")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onNamespace = append(slices.Clone(s.onNamespace), f)
}

// members returns the namespaces whose clients a broadcast to n reaches.
func (n *Namespace) members() []*Namespace {
	if n.family == nil {
		return n.alone[:]
	}
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	return slices.Collect(maps.Values(n.family.children))
}

// of returns the namespace of that name, which is made, as a child of parent if
// that is not nil, if there is none.
func (s *Server) of(name string, parent *Namespace) *Namespace {
	n, tell := s.findOrMake(name, parent)
	if tell == nil {
		return n
	}
	defer close(n.ready)
	for _, f := range tell {
		if err := rescue.Call(func() error { f(n); return nil }); err != nil {
			s.log().Error("OnNewNamespace failed", slog.String("ns", name), errAttr(err))
		}
	}
	return n
}

// findOrMake also returns who is to be told of a new namespace, before clients
// may enter it.
func (s *Server) findOrMake(name string, parent *Namespace) (n *Namespace, tell []func(*Namespace)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := *s.namespaces.Load()
	if n := known[name]; n != nil {
		if parent == nil {
			n.pin()
		}
		return n, nil
	}
	name = strings.Clone(name) // a framework may use its memory again
	n = newNamespace(s, name)
	n.pinned = parent == nil
	if parent == nil { // by hand: it may belong to a pattern all the same (SIO-DY-7)
		parent = s.staticParent(name)
	}
	if parent != nil {
		n.parent = parent
		n.routes.Store(parent.routes.Load())
		if len(parent.routes.Load().onRoom) > 0 {
			n.index.Watch()
		}
		parent.family.children[name] = n
	}
	n.join()
	if name != "/" && len(s.onNamespace) > 0 {
		n.ready, tell = make(chan struct{}), s.onNamespace
	}
	next := maps.Clone(known)
	next[name] = n
	s.namespaces.Store(&next)
	return n, tell
}

// staticParent returns the parent whose pattern matches, if any; mu is held.
func (s *Server) staticParent(name string) *Namespace {
	for _, p := range s.parents {
		if p.family.static {
			if ok, _ := p.family.match(name, nil); ok {
				return p
			}
		}
	}
	return nil
}

// admit returns the namespace of that name for a client that connects, and
// counts the client in; nil if there is none (SIO-CN-3).
func (s *Server) admit(name string, handshake func() *Handshake) *Namespace {
	if n := s.namespace(name); n != nil && n.enter() {
		return n
	}
	s.mu.Lock()
	parents := s.parents
	s.mu.Unlock()
	for _, p := range parents {
		ok, err := p.family.match(name, handshake())
		if err != nil {
			s.log().Error("OfFunc failed", slog.String("ns", p.name), errAttr(err))
			continue
		}
		for ok {
			// Of several clients that race for a name, one makes the namespace
			// (SIO-DY-4); again if it ended before this one got in.
			if n := s.of(name, p); n.enter() {
				return n
			}
		}
	}
	return nil
}

// enter counts a client in. It returns false if the namespace has just ended.
func (n *Namespace) enter() bool {
	if n.ready != nil {
		<-n.ready
	}
	if n.parent == nil {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return false
	}
	n.clients++
	return true
}

// leave counts a client out, whether it was accepted or not. With the last one
// the namespace ends (SIO-CC-1), but not while clients may come back to it.
func (n *Namespace) leave() {
	if n.parent == nil {
		return
	}
	n.mu.Lock()
	n.clients--
	empty := n.clients == 0 && !n.pinned && n.server.opts.CleanupEmptyChildNamespaces
	wait := empty && n.log != nil
	if wait {
		if n.expiry != nil {
			n.expiry.Stop()
		}
		n.expiry = time.AfterFunc(n.server.opts.ConnectionStateRecovery.MaxDisconnectionDuration, n.endIfEmpty)
	}
	n.mu.Unlock()
	if empty && !wait {
		n.endIfEmpty()
	}
}

// pin keeps a namespace for ever: the application has a reference to it.
func (n *Namespace) pin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pinned = true
}

func (n *Namespace) endIfEmpty() {
	s := n.server
	s.mu.Lock()
	n.mu.Lock()
	over := n.clients == 0 && !n.pinned && !n.ended
	n.ended = n.ended || over
	n.mu.Unlock()
	if over {
		delete(n.parent.family.children, n.name)
		next := maps.Clone(*s.namespaces.Load())
		delete(next, n.name)
		s.namespaces.Store(&next)
	}
	s.mu.Unlock()
	if over {
		n.close()
	}
}

// join connects the namespace to the cluster and gives it a log, where the
// server has them.
func (n *Namespace) join() {
	if r := n.server.opts.ConnectionStateRecovery; r != nil {
		n.log = r.Log(n.name)
		n.journal = newJournal(n.log)
		n.index.Start(n.log.End())
	}
	if cluster := n.server.opts.Adapter; cluster != nil {
		n.adapter = cluster.Join(n.name, node{n})
		if _, ok := n.adapter.(adapter.RoomWatcher); ok {
			n.index.Watch()
		}
	}
	n.live.Store(true)
}

// close undoes join.
func (n *Namespace) close() {
	n.closing.Do(func() {
		var errs []error
		if n.adapter != nil {
			errs = append(errs, n.adapter.Close())
		}
		if n.log != nil {
			errs = append(errs, n.log.Close())
		}
		if err := errors.Join(errs...); err != nil {
			n.server.log().Error("closing a namespace failed", slog.String("ns", n.name), errAttr(err))
		}
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.expiry != nil {
		n.expiry.Stop()
	}
}
