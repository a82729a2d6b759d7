package sio

import (
	"context"
	"slices"
	"strings"

	"github.com/sioplug/sioplug/internal/rooms"
)

// Of returns the namespace of that name. If it is new, clients can connect to it from
// now on. A leading slash is added if it is missing; otherwise the name is taken
// literally.
//
// Before Of returns, a new namespace joins the cluster and opens its log, and the
// functions of [Server.OnNewNamespace] run. A panic of the adapter or the log is a panic
// of Of. If a child namespace of that name is ending, Of waits until it has left the
// cluster. After [Server.Shutdown] has begun, a new namespace is closed: handlers can be
// registered, but it has neither clients nor other servers.
func (s *Server) Of(name string) *Namespace {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	n, err := s.findOrCreate(context.Background(), name, nil)
	if err != nil {
		panic(err) //nolint:forbidigo // it is the application's own panic
	}
	return n
}

// findOrCreate returns the namespace of that name, and makes it if there is none: as a
// child of parent, if that is not nil. If a namespace of that name is ending, it waits
// until the name is free. The error is the panic of the application's code, or the cause
// of ctx.
func (s *Server) findOrCreate(ctx context.Context, name string, parent *Namespace) (*Namespace, error) {
	for {
		n, onNew, found := s.findOrAdd(name, parent)
		if !found {
			return n, n.start(onNew)
		}
		nameFree := n.retain(parent == nil)
		if nameFree == nil {
			return n, nil
		}
		select {
		case <-nameFree:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// findOrAdd returns the namespace of that name, and adds one to the table if there is
// none. For a new namespace it also returns the functions of OnNewNamespace: they have
// to be called before clients may enter.
func (s *Server) findOrAdd(name string, parent *Namespace) (n *Namespace, onNew []func(*Namespace), found bool) {
	if n := s.namespace(name); n != nil {
		return n, nil, true
	}
	permanent := parent == nil
	if permanent { // it may belong to a pattern all the same (SIO-DY-7)
		parent = s.parentByName(name)
	}
	name = strings.Clone(name) // a framework may use its memory again
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.namespace(name); n != nil {
		return n, nil, true
	}
	n = newNamespace(s, name)
	n.ready = make(chan struct{})
	n.life.permanent = permanent
	if parent != nil {
		n.parent = parent
		n.routes.Store(parent.routes.Load())
		if len(parent.routes.Load().onRoom) > 0 {
			n.index.Watch(rooms.Handlers)
		}
		parent.pattern.children.Store(n, nil)
	}
	s.namespaces.Store(name, n)
	return n, s.onNewNamespace, false
}

// freeName removes the namespace from the table.
func (n *Namespace) freeName() {
	s := n.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.parent != nil {
		n.parent.pattern.children.Delete(n)
	}
	s.namespaces.Delete(n.name)
	close(n.life.nameFree)
}

// namespace returns the namespace of that name, or nil.
func (s *Server) namespace(name string) *Namespace {
	v, _ := s.namespaces.Load(name)
	n, _ := v.(*Namespace)
	return n
}

// Namespaces returns the namespaces that clients can connect to, sorted by name: "/",
// the namespaces of [Server.Of], and the children of [Server.OfFunc] and
// [Server.OfRegexp]. The parents are not in the list.
func (s *Server) Namespaces() []*Namespace {
	var all []*Namespace
	s.namespaces.Range(func(_, v any) bool {
		if n, ok := v.(*Namespace); ok && n.isReady() && !n.hasEnded() {
			all = append(all, n)
		}
		return true
	})
	slices.SortFunc(all, func(a, b *Namespace) int { return strings.Compare(a.name, b.name) })
	return all
}
