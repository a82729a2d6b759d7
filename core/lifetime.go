package sio

import (
	"container/list"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/rescue"
)

// The life of a namespace:
//
//	state     begins with     what happens
//	starting  findOrAdd       it is in the table, clients wait
//	                          start: it joins the cluster and opens its log; OnNewNamespace is called
//	ready     start returns   addClient and removeClient count clients
//	ended     endIf           only children that are empty: clients wait for the next one of that name
//	                          it leaves the cluster; OnNamespaceEnd is called
//	gone      freeName        the name is free
//
// Each change of the table takes constant time. No code of the application is called
// while a lock is held.

// A lifetime is the state of a namespace's life. It is guarded by the namespace's mu.
type lifetime struct {
	clients   int           // of a child: connected, or about to be
	permanent bool          // never to end: the application has a reference to it
	ended     bool          // clients cannot enter any more
	closed    bool          // it does not join the cluster any more
	nameFree  chan struct{} // made when it ends, closed when its name is free
	announced bool          // OnNewNamespace has been told of it, so OnNamespaceEnd is to be, too

	returnUntil time.Time     // when the last session expires
	expiry      *time.Timer   // ends it then
	emptyEntry  *list.Element // in the server's list of empty children
}

// retain makes the namespace permanent, if asked to. If the namespace is ending, retain
// returns a channel that is closed when the name is free.
func (n *Namespace) retain(permanent bool) (nameFree <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.life.ended && permanent {
		n.life.permanent = true
		n.server.empty.remove(n)
	}
	return n.life.nameFree
}

// start makes a new namespace ready for clients. If the application's code fails, the
// namespace ends instead.
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

// isReady reports whether clients may enter without waiting.
func (n *Namespace) isReady() bool {
	select {
	case <-n.ready:
		return true
	default:
		return false
	}
}

// hasEnded reports whether the namespace has ended: clients cannot enter any more.
func (n *Namespace) hasEnded() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life.ended
}

// addClient counts a client in. It waits until the namespace is ready. It returns false
// if the namespace or ctx has ended.
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

// removeClient counts a client out, whether it was accepted or not. The last client may
// end the namespace (SIO-CC-1). If its session is kept, the namespace stays until the
// session expires.
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

// expire ends an empty namespace when its last session has expired. Shutdown waits for
// it. After Shutdown it does nothing, since Shutdown closes all namespaces.
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

// isEmptyLocked reports whether the namespace has no client and is not permanent.
func (n *Namespace) isEmptyLocked() bool { return n.life.clients == 0 && !n.life.permanent }

// endIf ends the namespace if the condition holds. The name becomes free after the
// namespace has left the cluster. So a new namespace of that name joins the cluster
// later.
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

// callOnNamespaceEnd calls the functions of OnNamespaceEnd.
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

// OnNewNamespace adds a function that is called with every new namespace, before its
// first client connects: namespaces of [Server.Of], and children of [Server.OfFunc] and
// [Server.OfRegexp] (SIO-NS-7). Clients that connect to that namespace wait until it
// returns. See also [Server.OnNamespaceEnd] and [Server.Namespaces].
func (s *Server) OnNewNamespace(f func(n *Namespace)) {
	if f == nil {
		misuse.Panic("sio: OnNewNamespace got a nil function")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onNewNamespace = append(slices.Clone(s.onNewNamespace), f)
}

// OnNamespaceEnd adds a function that is called with every child namespace of
// [Server.OfFunc] and [Server.OfRegexp] that ends: see
// [Options.CleanupEmptyChildNamespaces]. It has no clients any more, and has left the
// cluster. Others do not end, and [Server.Shutdown] ends none.
//
// Its name is free when the functions have returned. So for one name, the functions of
// OnNewNamespace and of OnNamespaceEnd are called in turn, and clients that want to
// connect to that name wait meanwhile. Do not call [Server.Of] with that name in the
// function: it would wait for itself.
func (s *Server) OnNamespaceEnd(f func(n *Namespace)) {
	if f == nil {
		misuse.Panic("sio: OnNamespaceEnd got a nil function")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onNamespaceEnd = append(slices.Clone(s.onNamespaceEnd), f)
}
