package cluster_test

import (
	"slices"
	"testing"
)

// testRooms has the sockets of all servers join and leave rooms.
func (c *cluster) testRooms(t *testing.T, by driver, of string) {
	x, y := "x by "+of, "y by "+of
	c.must(t, by, command{Op: "join", NS: "/", To: []any{"r1"}, Except: []any{"r2"}, Rooms: []string{x, y}})
	c.changeRooms("1", func(rooms []any) []any { return append(rooms, x, y) })
	c.settle(t, "/", x)
	c.settle(t, "/", y)
	c.markAll(t)
	c.wantIn(t, x, "1")
	c.must(t, by, command{Op: "leave", NS: "/", To: []any{y}, Rooms: []string{y, "r3"}})
	c.changeRooms("1", func(rooms []any) []any { return slices.DeleteFunc(rooms, func(r any) bool { return r == y }) })
	c.mark(t, by)
	c.wantIn(t, y, "")
	c.wantIn(t, x, "1")
	c.must(t, by, command{Op: "leave", NS: "/", Rooms: []string{x}})
	c.changeRooms("1", func(rooms []any) []any { return slices.DeleteFunc(rooms, func(r any) bool { return r == x }) })
	c.mark(t, by)
	c.wantIn(t, x, "")
}

// changeRooms notes in which rooms the clients with a suffix are now.
func (c *cluster) changeRooms(suffix string, change func([]any) []any) {
	for _, m := range c.members {
		cl := c.clients[m.name()+suffix]
		cl.rooms = change(slices.Clone(cl.rooms))
	}
}

// markAll waits until the clients have got all that the servers have sent so far.
func (c *cluster) markAll(t *testing.T) {
	t.Helper()
	for _, m := range c.members {
		c.mark(t, m)
	}
}

// wantIn checks which clients of each server are in a room.
func (c *cluster) wantIn(t *testing.T, room, want string) {
	t.Helper()
	for _, m := range c.members {
		do := command{Op: "emit", NS: "/", Args: with("are you in " + room), To: []any{room}, Local: true}
		wantHeard(t, c.hear(t, m, do), canonical(do.Args), each([]member{m}, want))
	}
}

// testRemoteSocket does things to one socket that a server has fetched.
func (c *cluster) testRemoteSocket(t *testing.T, m member) {
	for _, at := range c.members {
		cl := c.clients[at.name()+"3"]
		emit := command{Op: "remote", Method: "emit", NS: "/", Socket: cl.id, Args: with("to you", blob{1})}
		wantHeard(t, c.hear(t, m, emit), canonical(emit.Args), []string{cl.name})
		room := "only " + cl.name
		c.must(t, m, command{Op: "remote", Method: "join", NS: "/", Socket: cl.id, Rooms: []string{room}})
		c.mark(t, m)
		own := command{Op: "emit", NS: "/", Args: with(1), To: []any{room}, Local: true}
		wantHeard(t, c.hear(t, at, own), canonical(own.Args), []string{cl.name})
		c.must(t, m, command{Op: "remote", Method: "leave", NS: "/", Socket: cl.id, Rooms: []string{room}})
		c.mark(t, m)
		wantHeard(t, c.hear(t, at, own), "", nil)

		guest := connectClient(t, c.peer, at, " leaves "+m.name(), "/")
		position := c.diary.length(disconnected(guest.name))
		c.must(t, m, command{Op: "remote", Method: "disconnect", NS: "/", Socket: guest.id})
		c.diary.until(t, disconnected(guest.name), position, "io server disconnect")
	}
}

// testDisconnect disconnects the guests of all servers, and nobody else.
func (c *cluster) testDisconnect(t *testing.T, by driver, of string) {
	for _, closing := range []bool{false, true} {
		var guests, others []*client
		for _, at := range c.members {
			guest := connectClient(t, c.peer, at, " is out by "+of, "/", "guests")
			guests = append(guests, guest)
			others = append(others, guest.join(t, " is another by "+of, "/chat"))
		}
		at := make(map[string]int)
		for _, cl := range slices.Concat(guests, others) {
			at[cl.name] = c.diary.length(disconnected(cl.name))
		}
		c.must(t, by, command{Op: "disconnect", NS: "/", To: []any{"guests"}, Except: []any{"r1"}, Close: closing})
		for _, cl := range guests {
			c.diary.until(t, disconnected(cl.name), at[cl.name], "io server disconnect")
		}
		marker := c.mark(t, by)
		for _, cl := range others {
			if closing {
				c.diary.until(t, disconnected(cl.name), at[cl.name], "io server disconnect")
				continue
			}
			c.diary.until(t, received(cl.name), 0, marker) // it is still there
			cl.disconnect(t)
		}
		for name := range c.clients {
			if got := c.diary.since(disconnected(name), 0); len(got) > 0 {
				t.Errorf("%s is disconnected: %s", name, got)
			}
		}
	}
}
