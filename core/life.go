package sio

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/rooms"
)

// The life of a namespace:
//
//	findOrMake  it is in the table; nobody may enter
//	start       it joins the cluster, gets its log, and OnNewNamespace is told of it
//	enter       clients come
//	leave       and go
//	end         for children only, when they are empty: nobody may enter any more;
//	            it leaves the cluster, and OnNamespaceEnd is told of it
//	forget      it has left the table; its name is free
//
// The table is changed in O(1). None of the application's code is called while a
// lock is held.

// A lifetime is what a namespace knows about its own life. It is guarded by the
// namespace's mu.
type lifetime struct {
	clients   int           // of a child: connected, or about to be
	permanent bool          // never to end: the application has a reference to it
	ended     bool          // nobody may enter any more
	closed    bool          // it does not join the cluster any more
	nameFree  chan struct{} // made when it ends, closed when its name is free
	announced bool          // OnNewNamespace has been told of it, so OnNamespaceEnd is to be, too

	returnUntil time.Time     // when nobody may come back any more
	expiry      *time.Timer   // ends it then
	emptyEntry  *list.Element // in the server's list of empty children
}

// findOrCreate returns the namespace of that name, which is made, as a child of parent if
// that is not nil, if there is none. If one of that name is about to end, it waits
// for that. The error is the panic of the application's code, or the
// cause of ctx.
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

// findOrAdd also returns who is to be told of a new namespace, before clients
// may enter it.
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

// retain keeps the namespace for ever, if the application asked for it. If it is
// about to end, keep returns a channel that is closed then.
func (n *Namespace) retain(permanent bool) (nameFree <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.life.ended && permanent {
		n.life.permanent = true
		n.server.empty.remove(n)
	}
	return n.life.nameFree
}

// start makes a new namespace ready for clients. If the application's code fails,
// it ends instead.
func (n *Namespace) start(onNew []func(*Namespace)) error {
	started := false
	defer func() {
		if !started { // an error, or the goroutine ends
			n.endIf(func() bool { return true })
		}
		close(n.ready)
	}()
	if err := n.joinCluster(); err != nil {
		return err
	}
	n.mu.Lock()
	n.life.announced = true
	n.mu.Unlock()
	for _, f := range onNew {
		if err := rescue.Call(func() error { f(n); return nil }); err != nil {
			n.server.log().Error("OnNewNamespace failed", slog.String("ns", n.name), errAttr(err))
		}
	}
	started = true
	return nil
}

// joinCluster connects the namespace to the cluster and gives it a log, where the
// server has them.
func (n *Namespace) joinCluster() error {
	var a adapter.Adapter
	var l adapter.Log
	var end string
	joined := false
	defer func() {
		if !joined {
			n.closeAdapterAndLog(a, l)
		}
	}()
	if n.server.sockets.Closed() { // and nobody would close what is opened now
		return nil
	}
	err := rescue.Call(func() error {
		if r := n.server.opts.ConnectionStateRecovery; r != nil {
			if l = r.Log(n.name); l != nil {
				end = l.End()
			}
		}
		if cluster := n.server.opts.Adapter; cluster != nil {
			a = cluster.Join(n.name, node{n})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, ok := a.(adapter.RoomWatcher); ok {
		n.index.Watch(rooms.Cluster)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life.closed {
		return nil
	}
	if l != nil {
		n.log, n.logState = l, newLogState(end)
		n.index.TrackPositions(end)
	}
	n.adapter = a
	n.joined.Store(true)
	joined = true
	return nil
}

// close undoes join, or keeps it from taking effect.
func (n *Namespace) close() {
	n.closeOnce.Do(func() {
		n.mu.Lock()
		n.life.closed = true
		if n.life.expiry != nil {
			n.life.expiry.Stop()
		}
		a, l := n.adapter, n.log
		n.mu.Unlock()
		n.closeAdapterAndLog(a, l)
	})
}

func (n *Namespace) closeAdapterAndLog(a adapter.Adapter, l adapter.Log) {
	var errs []error
	if a != nil {
		errs = append(errs, rescue.Apart(a.Close))
	}
	if l != nil {
		errs = append(errs, rescue.Apart(l.Close))
	}
	if err := errors.Join(errs...); err != nil {
		n.server.log().Error("closing a namespace failed", slog.String("ns", n.name), errAttr(err))
	}
}

// isReady reports whether clients may enter without waiting.
func (n *Namespace) isReady() bool {
	select {
	case <-n.ready:
		return true
	default:
		return false
	}
}

// hasEnded reports whether nobody may enter any more.
func (n *Namespace) hasEnded() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life.ended
}

// addClient counts a client in, when the namespace is ready for that. It returns false
// if the namespace has just ended, or ctx.
func (n *Namespace) addClient(ctx context.Context) bool {
	if !n.isReady() {
		select {
		case <-n.ready:
		case <-ctx.Done():
			return false
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life.ended {
		return false
	}
	if n.parent != nil {
		n.life.clients++
		n.server.empty.remove(n)
	}
	return true
}

// removeClient counts a client out, whether it was accepted or not, and whether or not it
// may come back. The last one may end the namespace (SIO-CC-1).
func (n *Namespace) removeClient(sessionKept bool) {
	if n.parent == nil {
		return
	}
	now := time.Now()
	n.mu.Lock()
	if sessionKept {
		n.life.returnUntil = now.Add(n.server.opts.ConnectionStateRecovery.MaxDisconnectionDuration)
	}
	n.life.clients--
	last := false
	switch {
	case n.life.clients > 0 || n.life.permanent || n.life.ended:
	case !n.server.opts.CleanupEmptyChildNamespaces:
		n.server.empty.add(n)
	case now.Before(n.life.returnUntil):
		if n.life.expiry != nil {
			n.life.expiry.Stop()
		}
		n.life.expiry = time.AfterFunc(n.life.returnUntil.Sub(now), n.expire)
		n.server.empty.add(n)
	default:
		last = true
	}
	n.mu.Unlock()
	if last {
		n.endIfEmpty()
	}
	for oldest := n.server.empty.tooMany(); oldest != nil; oldest = n.server.empty.tooMany() {
		oldest.endIfEmpty()
	}
}

// expire ends an empty namespace whose last client does not come back. Shutdown waits
// for it; afterwards it closes all namespaces itself.
func (n *Namespace) expire() {
	if !n.server.sockets.Enter() {
		return
	}
	defer n.server.sockets.Leave()
	n.endIf(func() bool { return n.isEmptyLocked() && !time.Now().Before(n.life.returnUntil) })
}

func (n *Namespace) endIfEmpty() {
	n.endIf(n.isEmptyLocked)
}

// isEmptyLocked reports whether nobody needs the namespace; mu is held.
func (n *Namespace) isEmptyLocked() bool { return n.life.clients == 0 && !n.life.permanent }

// endIf ends the namespace if it is the time for that. Its name is free when it has
// left the cluster, so that one that joins by the same name comes after that.
func (n *Namespace) endIf(conditionLocked func() bool) {
	n.mu.Lock()
	ends := !n.life.ended && conditionLocked()
	if ends {
		n.life.ended, n.life.nameFree = true, make(chan struct{})
		n.server.empty.remove(n)
	}
	announced := n.life.announced
	n.mu.Unlock()
	if ends {
		defer n.freeName()
		n.close()
		if announced {
			n.callOnNamespaceEnd()
		}
	}
}

// callOnNamespaceEnd tells the functions of OnNamespaceEnd.
func (n *Namespace) callOnNamespaceEnd() {
	s := n.server
	s.mu.Lock()
	fs := s.onNamespaceEnd
	s.mu.Unlock()
	rescue.Each(len(fs), func(i int) error {
		fs[i](n)
		return nil
	}, func(_ int, err error) {
		s.log().Error("OnNamespaceEnd failed", slog.String("ns", n.name), errAttr(err))
	})
}

// freeName frees the name.
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

// maxEmptyChildren is how many empty children a server keeps.
const maxEmptyChildren = 10_000

// emptyChildren are the children without clients that are kept all the same, those
// first that have been empty for the longest time. Clients make up names, so their
// number has a bound. It is locked with a namespace's mu held.
type emptyChildren struct {
	mu   sync.Mutex
	list list.List
}

// add adds a child, whose mu is held.
func (e *emptyChildren) add(n *Namespace) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n.life.emptyEntry == nil {
		n.life.emptyEntry = e.list.PushBack(n)
	}
}

// tooMany returns the child that is to end, if there are too many.
func (e *emptyChildren) tooMany() *Namespace {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.list.Len() <= maxEmptyChildren {
		return nil
	}
	n, _ := e.list.Front().Value.(*Namespace)
	return n
}

// remove removes a child, whose mu is held, if it is in the list.
func (e *emptyChildren) remove(n *Namespace) {
	if n.life.emptyEntry == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list.Remove(n.life.emptyEntry)
	n.life.emptyEntry = nil
}
