package sio

import (
	"context"
	"errors"
	"maps"

	"github.com/sioplug/sioplug/core/adapter"
)

// A sessionGroup holds the sessions of one client in all of its namespaces. Closing the
// client's connection discards all of them, also while the client is away. Only logs in
// this server's memory keep groups. The fields are guarded by Server.groups.
type sessionGroup struct {
	mergedInto *sessionGroup // that this one has become part of; nil for none
	discarded  bool
	saved      map[*Namespace]*adapter.Session // to be recovered
}

var errClosed = errors.New("the server has closed the client's connection")

// rootLocked returns the group that g was merged into, or g.
func (g *sessionGroup) rootLocked() *sessionGroup {
	for g.mergedInto != nil {
		g = g.mergedInto
	}
	return g
}

// addLocked adds saved sessions.
func (g *sessionGroup) addLocked(saved map[*Namespace]*adapter.Session) {
	if g.saved == nil && len(saved) > 0 {
		g.saved = make(map[*Namespace]*adapter.Session)
	}
	maps.Copy(g.saved, saved)
}

// discardLocked discards the group's sessions: none of them can be recovered.
func (g *sessionGroup) discardLocked() { g.discarded, g.saved = true, nil }

// joinGroup puts the client's sessions into a group. If they are in another one already,
// it merges the two.
func (c *client) joinGroup(of *sessionGroup) {
	c.server.groups.Lock()
	defer c.server.groups.Unlock()
	if c.group == nil {
		c.group = of
		return
	}
	root, part := c.group.rootLocked(), of.rootLocked()
	if part == root {
		return
	}
	root.addLocked(part.saved)
	part.mergedInto, part.saved = root, nil
}

// discardSessions discards all of the client's sessions.
func (c *client) discardSessions() {
	if c.server.opts.ConnectionStateRecovery == nil {
		return
	}
	c.server.groups.Lock()
	defer c.server.groups.Unlock()
	if c.group != nil {
		c.group.rootLocked().discardLocked()
	}
}

// noteSaved adds a session that is about to be saved to the client's group. It returns
// false if the group has been discarded.
func (c *client) noteSaved(n *Namespace, session *adapter.Session) bool {
	c.server.groups.Lock()
	defer c.server.groups.Unlock()
	root := c.group.rootLocked()
	if !root.discarded {
		root.addLocked(map[*Namespace]*adapter.Session{n: session})
	}
	return !root.discarded
}

// checkGroup returns an error if the client's connection was closed while it was away,
// in any of its namespaces, or may have been. Otherwise the session in n is taken out of
// the group.
func (n *Namespace) checkGroup(ctx context.Context, c *client, of *sessionGroup) error {
	groups := &n.server.groups
	groups.Lock()
	root := of.rootLocked()
	discarded, saved := root.discarded, maps.Clone(root.saved)
	delete(root.saved, n)
	groups.Unlock()
	delete(saved, n)
	for other, session := range saved {
		discarded = discarded || newReplay(other, session).connectionClosed(ctx)
	}
	switch {
	case !discarded:
		c.joinGroup(of)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	c.discardGroup(of)
	return errClosed
}

// discardGroup discards a group. The client's new sessions are in another one from now
// on.
func (c *client) discardGroup(g *sessionGroup) {
	c.server.groups.Lock()
	defer c.server.groups.Unlock()
	root := g.rootLocked()
	root.discardLocked()
	if c.group != nil && c.group.rootLocked() == root {
		c.group = new(sessionGroup)
	}
}

// currentGroup returns the group that the client's sessions are in.
func (c *client) currentGroup() *sessionGroup {
	c.server.groups.Lock()
	defer c.server.groups.Unlock()
	return c.group
}

// connectionClosed reports whether the server has closed the client's connection while
// it was away, or may have done so.
func (r *replay) connectionClosed(ctx context.Context) bool {
	err := r.check(ctx)
	if errors.Is(err, errDisconnectedAway) {
		return r.rooms.closed || r.changesLost()
	}
	return err != nil
}
