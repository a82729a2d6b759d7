package sio

import (
	"slices"
	"strings"
	"sync/atomic"
)

// A roomList is a list of rooms. Adding rooms returns a new list, and older lists do not
// change. Lists with the same beginning share memory. So adding rooms one by one costs
// no more than adding all at once.
type roomList struct {
	names []string

	// used is how long the longest list in this memory is. Whoever moves it owns the
	// room behind it. It is nil for a list that was not added to.
	used *atomic.Int64
}

// with returns the list with more at its end.
func (n roomList) with(more []string) roomList {
	before, after := len(n.names), len(n.names)+len(more)
	switch {
	case len(more) == 0:
		return n
	case before == 0:
		return roomList{names: slices.Clone(more)}
	case n.used != nil && after <= cap(n.names) && n.used.CompareAndSwap(int64(before), int64(after)):
		n.names = append(n.names, more...)
		return n
	}
	n.names = append(append(make([]string, 0, max(2*before, after)), n.names...), more...)
	n.used = new(atomic.Int64)
	n.used.Store(int64(after))
	return n
}

// cloneStrings returns copies of strings that outlive the call. Some frameworks reuse
// the memory of the strings of a request.
func cloneStrings(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	copies := make([]string, len(names))
	for i, name := range names {
		copies[i] = strings.Clone(name)
	}
	return copies
}
