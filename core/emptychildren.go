package sio

import (
	"container/list"
	"sync"
)

// maxEmptyChildren is how many empty children a server keeps.
const maxEmptyChildren = 10_000

// emptyChildren are the children without clients that are kept, beginning with the one
// that has been empty for the longest time. Clients choose the names, so the number is
// bounded. Its mu is locked after that of a namespace.
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

// tooMany returns the child that has to end, nil if there are not too many.
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
