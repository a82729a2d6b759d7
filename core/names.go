package sio

import (
	"slices"
	"strings"
	"sync/atomic"
)

// names is a list of rooms that grows by copies: lists that were made of it before
// stay as they are. Adding one room after the other costs no more than all at once,
// because lists share their memory where they have the same beginning.
type names struct {
	list []string

	// used is how long the longest list in this memory is. Whoever moves it owns the
	// room behind it. It is nil for a list that was not added to.
	used *atomic.Int64
}

// with returns the list with more at its end.
func (n names) with(more []string) names {
	old, now := len(n.list), len(n.list)+len(more)
	switch {
	case len(more) == 0:
		return n
	case old == 0:
		return names{list: slices.Clone(more)}
	case n.used != nil && now <= cap(n.list) && n.used.CompareAndSwap(int64(old), int64(now)):
		n.list = append(n.list, more...)
		return n
	}
	n.list = append(append(make([]string, 0, max(2*old, now)), n.list...), more...)
	n.used = new(atomic.Int64)
	n.used.Store(int64(now))
	return n
}

// clones returns copies of names, for what outlives the call: some frameworks
// use the memory of strings again that they took from a request.
func clones(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	kept := make([]string, len(names))
	for i, name := range names {
		kept[i] = strings.Clone(name)
	}
	return kept
}
