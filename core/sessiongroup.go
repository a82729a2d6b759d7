package sio

import (
	"context"
	"errors"
	"maps"

	"github.com/sioplug/sioplug/core/adapter"
)

// A sessionGroup are the sessions of one client in all of its namespaces: to close its
// connection ends all of them, also while it is away. Only logs in this server's memory
// keep groups together. The fields are guarded by Server.groups.
type sessionGroup struct {
	into    *sessionGroup // that this one has become part of; nil for none
	ended   bool
	waiting map[*Namespace]*adapter.Session // to be recovered
}

var errClosed = errors.New("the server has closed the client's connection")

// rootLocked returns the group that g is part of.
func (g *sessionGroup) rootLocked() *sessionGroup {
	for g.into != nil {
		g = g.into
	}
	return g
}

// addLocked adds sessions that wait.
func (g *sessionGroup) addLocked(waiting map[*Namespace]*adapter.Session) {
	if g.waiting == nil && len(waiting) > 0 {
		g.waiting = make(map[*Namespace]*adapter.Session)
	}
	maps.Copy(g.waiting, waiting)
}

// endLocked has none of the sessions be recovered.
func (g *sessionGroup) endLocked() { g.ended, g.waiting = true, nil }

// group has the client's sessions be in a group, which becomes that of all of them if
// there is none.
func (c *client) group(of *sessionGroup) {
	c.server.groups.Lock()
	defer c.server.groups.Unlock()
	if c.sessions == nil {
		c.sessions = of
		return
	}
	root, part := c.sessions.rootLocked(), of.rootLocked()
	if part == root {
		return
	}
	root.addLocked(part.waiting)
	part.into, part.waiting = root, nil
}

// endSessions has none of the client's sessions be recovered.
func (c *client) endSessions() {
	if c.server.opts.ConnectionStateRecovery == nil {
		return
	}
	c.server.groups.Lock()
	defer c.server.groups.Unlock()
	if c.sessions != nil {
		c.sessions.rootLocked().endLocked()
	}
}

// mayWait notes that a session of the client waits, unless all of them have ended.
func (c *client) mayWait(n *Namespace, session *adapter.Session) bool {
	c.server.groups.Lock()
	defer c.server.groups.Unlock()
	root := c.sessions.rootLocked()
	if !root.ended {
		root.addLocked(map[*Namespace]*adapter.Session{n: session})
	}
	return !root.ended
}

// checkGroup returns an error if the connection of a client was closed while it was away,
// by what was done to it in any of its namespaces, or if nobody knows. Otherwise the
// session in n does not wait any more.
func (n *Namespace) checkGroup(ctx context.Context, c *client, of *sessionGroup) error {
	groups := &n.server.groups
	groups.Lock()
	root := of.rootLocked()
	ended, waiting := root.ended, maps.Clone(root.waiting)
	delete(root.waiting, n)
	groups.Unlock()
	delete(waiting, n)
	for other, session := range waiting {
		ended = ended || newReplay(other, session).closed(ctx)
	}
	switch {
	case !ended:
		c.group(of)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	c.endGroup(of)
	return errClosed
}

// endGroup has none of a group's sessions be recovered. What the client begins now is
// not among them.
func (c *client) endGroup(g *sessionGroup) {
	c.server.groups.Lock()
	defer c.server.groups.Unlock()
	root := g.rootLocked()
	root.endLocked()
	if c.sessions != nil && c.sessions.rootLocked() == root {
		c.sessions = new(sessionGroup)
	}
}

// currentGroup returns the group that the client's sessions are in.
func (c *client) currentGroup() *sessionGroup {
	c.server.groups.Lock()
	defer c.server.groups.Unlock()
	return c.sessions
}

// closed reports whether the connection of a client was closed while it was away, or
// nobody knows any more.
func (r *replay) closed(ctx context.Context) bool {
	err := r.survey(ctx)
	if errors.Is(err, errKicked) {
		return r.rooms.closed || r.unkept()
	}
	return err != nil
}
