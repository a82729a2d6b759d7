package sio

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"sync"

	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A namePattern makes child namespaces for the names that it matches.
type namePattern struct {
	match    func(name string, h *Handshake) (bool, error)
	text     string   // of the regular expression, "" without one
	byName   bool     // match needs no handshake, so Of can ask it
	children sync.Map // *Namespace to nil; changed under the server's mu
}

// maxNamespaceName is the longest name, in bytes, of a namespace that a client can bring
// about. The name is kept once for each namespace; the namespace itself takes more
// memory.
const maxNamespaceName = 1024

// OfFunc returns a parent of namespaces. When a client connects to a name without a
// namespace, and match returns true, a child is made (SIO section 6.1). Registrations on
// the parent apply to all children, and a broadcast to the parent reaches the clients of
// all children. The parent has no clients of its own. Several parents are asked in the
// order of their creation.
//
// match gets the client's handshake with its auth payload. It may take its time: like
// the connect chain, it delays only this client's connect to this namespace. Names of
// more than 1,024 bytes are refused without a call of match. See also
// [Options.CleanupEmptyChildNamespaces].
func (s *Server) OfFunc(match func(name string, h *Handshake) bool) *Namespace {
	if match == nil {
		misuse.Panic("sio: OfFunc got a nil function")
	}
	return s.addParent(&namePattern{match: func(name string, h *Handshake) (ok bool, err error) {
		err = rescue.Call(func() error { ok = match(name, h); return nil })
		return ok, err
	}})
}

// OfRegexp is [Server.OfFunc] for names that match a pattern. Names begin with a
// slash, so patterns are best anchored: ^/dynamic-\d+$.
func (s *Server) OfRegexp(pattern *regexp.Regexp) *Namespace {
	if pattern == nil {
		misuse.Panic("sio: OfRegexp got a nil pattern")
	}
	return s.addParent(&namePattern{text: pattern.String(), byName: true, match: func(name string, _ *Handshake) (bool, error) {
		return pattern.MatchString(name), nil
	}})
}

func (s *Server) addParent(p *namePattern) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := newNamespace(s, fmt.Sprintf("/_%d", len(s.parents))) // as the reference calls it (SIO-DY-1)
	n.pattern = p
	s.parents = append(s.parents, n)
	return n
}

// selfOrChildren returns the namespaces that have the clients of n: its children if n is
// a parent, otherwise n itself.
func (n *Namespace) selfOrChildren() []*Namespace {
	if n.pattern == nil {
		return n.self[:]
	}
	var children []*Namespace
	n.pattern.children.Range(func(child, _ any) bool {
		children = append(children, child.(*Namespace)) //nolint:forcetypeassert,errcheck // nothing else is stored
		return true
	})
	return children
}

// parentList returns the parents in the order in which they are asked.
func (s *Server) parentList() []*Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parents // it is only appended to
}

// parentByName returns the parent whose regular expression matches the name, nil if
// there is none.
func (s *Server) parentByName(name string) *Namespace {
	for _, p := range s.parentList() {
		if p.pattern.byName {
			if ok, _ := p.pattern.match(name, nil); ok {
				return p
			}
		}
	}
	return nil
}

// namespaceFor returns the namespace of that name for a client that connects, and counts
// the client in. It returns nil if there is none (SIO-CN-3). It calls the application,
// and may wait until ctx ends for another client's call that makes the namespace. The
// error is that of the application's code, or the cause of ctx.
func (s *Server) namespaceFor(ctx context.Context, name string, handshake func() *Handshake) (*Namespace, error) {
	if n := s.namespace(name); n != nil && n.addClient(ctx) {
		return n, nil
	}
	if len(name) > maxNamespaceName {
		return nil, nil
	}
	for _, p := range s.parentList() {
		ok, err := p.pattern.match(name, handshake())
		if err != nil {
			s.log().ErrorContext(ctx, "OfFunc failed", slog.String("ns", p.name), errAttr(err))
			continue
		}
		// Of several clients that race for a name, one makes the namespace
		// (SIO-DY-4); again if it ended before this one got in.
		for ok {
			if ctx.Err() != nil { // the client has gone
				return nil, context.Cause(ctx)
			}
			n, err := s.findOrCreate(ctx, name, p)
			if err != nil {
				return nil, err
			}
			if n.addClient(ctx) {
				return n, nil
			}
		}
	}
	return nil, nil
}
