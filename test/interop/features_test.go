package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// features are the namespaces of scenarios that are about one feature each.
func features(srv *sio.Server, n *notes) {
	visits(srv.Of("/visits"), n)
	visits(srv.Of("/brief visits"), n)
	surveys(srv.Of("/survey"))
	sets(srv.Of("/sets"), n)
	watched(srv.Of("/watched"))
	compressible(srv.Of("/compressible"))
	floods(srv.Of("/floods"))
	children(srv, n)
	unhurried(srv.Of("/unhurried"))
	for i := range 10 {
		places(srv.Of(fmt.Sprintf("/ten/%d", i)), n)
	}
}

// places have rooms, and their clients can ask where they are.
func places(ns *sio.Namespace, n *notes) {
	rooms(ns)
	ns.On("where am I", sio.Reply(func(c *sio.Ctx, _ struct{}) (string, error) { return c.Namespace().Name(), nil }))
	ns.On("disconnect me", func(c *sio.Ctx) error { return c.Disconnect() })
	ns.On("close my connection", func(c *sio.Ctx) error { return c.Close() })
	ns.OnDisconnect(func(s *sio.Socket, reason sio.Reason) { n.make("leaving of "+s.ID(), string(reason)) })
}

// recovery lets clients come back. In the namespace "/brief visits", sessions expire before
// a client can.
func recovery() *sio.Recovery {
	return &sio.Recovery{Log: func(namespace string) adapter.Log {
		age := time.Minute
		if namespace == "/brief visits" {
			age = time.Nanosecond
		}
		return adapter.NewMemoryLog(adapter.MemoryLogOptions{MaxAge: age})
	}}
}

// What a visitor finds again: the favourite wherever it comes back to, the number of
// its visit at this server.
var (
	favourite = sio.NewDataKey[string]("favourite")
	visit     = sio.NewKey[int]("visit")
)

// A visitor is what the server knows of a client of "/visits".
type visitor struct {
	ID        string   `json:"id"`
	Rooms     []string `json:"rooms"`
	Favourite string   `json:"favourite"`
	Visit     int      `json:"visit"`
	Recovered bool     `json:"recovered"`
}

// news goes to all clients in the rooms.
type news struct {
	To     []string `json:"to"`
	Except []string `json:"except"`
	Values []any    `json:"values"`
}

// visits is for clients that lose their connection and come back.
func visits(ns *sio.Namespace, n *notes) {
	ns.On("sync", acknowledge)
	ns.On("disconnect me", func(c *sio.Ctx) error { return c.Disconnect() })
	ns.On("close my connection", func(c *sio.Ctx) error { return c.Close() })
	ns.OnConnect(func(c *sio.Ctx) error {
		before, _ := visit.Get(c.Socket)
		visit.Set(c.Socket, before+1)
		return c.Emit("welcome", c.Recovered())
	})
	ns.OnDisconnect(func(s *sio.Socket, reason sio.Reason) {
		number, _ := visit.Get(s)
		n.make(fmt.Sprintf("end of visit %d of %s", number, s.ID()), string(reason))
	})
	ns.On("settle in", func(c *sio.Ctx) error {
		var name string
		var rooms []string
		if err := c.Bind(&name, &rooms); err != nil {
			return err
		}
		favourite.Set(c.Socket, name)
		if err := c.Join(rooms...); err != nil {
			return err
		}
		return c.Ack()
	})
	ns.On("who am I", sio.Reply(func(c *sio.Ctx, _ struct{}) (v visitor, err error) {
		v.ID, v.Rooms, v.Recovered = c.ID(), slices.Sorted(slices.Values(c.Rooms())), c.Recovered()
		v.Favourite, _ = favourite.Get(c.Socket)
		v.Visit, _ = visit.Get(c.Socket)
		return v, nil
	}))
	ns.On("tell", sio.Reply(func(_ *sio.Ctx, what news) (bool, error) {
		for _, v := range what.Values {
			if err := ns.To(what.To...).Except(what.Except...).Emit("news", v); err != nil {
				return false, err
			}
		}
		return true, nil
	}))
	ns.On("tell what is not kept", sio.Reply(func(_ *sio.Ctx, what news) (bool, error) {
		return true, ns.To(what.To...).Volatile().Emit("news", what.Values[0])
	}))
}

// A survey asks all clients in a room.
type survey struct {
	Room         string `json:"room"`
	Question     any    `json:"question"`
	Milliseconds int    `json:"milliseconds"` // 0 means as long as it takes
	First        bool   `json:"first"`        // the first answer is enough
}

// A vote is an answer, or how else it ended.
type vote struct {
	Socket string `json:"socket"`
	Value  any    `json:"value"`
	Ending string `json:"ending"`
}

// surveys are broadcasts with acks. The client that starts one gets each vote as it comes,
// and all votes at the end.
func surveys(ns *sio.Namespace) {
	ns.On("sync", acknowledge)
	ns.On("join", sio.Reply(func(c *sio.Ctx, room string) (bool, error) { return true, c.Join(room) }))
	ns.On("survey", sio.Reply(func(c *sio.Ctx, s survey) ([]vote, error) {
		ctx := c.Context()
		if s.Milliseconds > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, time.Duration(s.Milliseconds)*time.Millisecond)
			defer cancel()
		}
		votes := []vote{}
		for a := range sio.BroadcastWithAck[any](ctx, ns.To(s.Room), "question", s.Question) {
			v := vote{a.Socket, a.Value, ending(a.Err)}
			if err := c.Emit("vote", v); err != nil {
				return nil, err
			}
			if votes = append(votes, v); s.First {
				break
			}
		}
		return votes, nil
	}))
}

// sets does things to all clients in a room.
func sets(ns *sio.Namespace, n *notes) {
	places(ns, n)
	ns.On("call me", sio.Reply(func(c *sio.Ctx, name string) (bool, error) {
		favourite.Set(c.Socket, name)
		return true, nil
	}))
	ns.On("fetch", sio.Reply(func(c *sio.Ctx, room string) ([]visitor, error) {
		found, err := ns.To(room).Fetch(c.Context())
		list := make([]visitor, len(found))
		for i, s := range found {
			name, _ := favourite.Of(s)
			list[i] = visitor{ID: s.ID, Rooms: slices.Sorted(slices.Values(s.Rooms)), Favourite: name}
		}
		slices.SortFunc(list, func(a, b visitor) int { return strings.Compare(a.ID, b.ID) })
		return list, err
	}))
	ns.On("join all", ofTwoRooms(func(from, to string) error { return ns.To(from).Join(to) }))
	ns.On("leave all", ofTwoRooms(func(from, to string) error { return ns.To(from).Leave(to) }))
	ns.On("disconnect all", sio.Reply(func(_ *sio.Ctx, room string) (bool, error) {
		if err := ns.To(room).Emit("said", "goodbye"); err != nil {
			return false, err
		}
		return true, ns.To(room).Disconnect()
	}))
	ns.On("close all", sio.Reply(func(_ *sio.Ctx, room string) (bool, error) { return true, ns.To(room).Close() }))
}

func ofTwoRooms(do func(a, b string) error) sio.Handler {
	return func(c *sio.Ctx) error {
		var a, b string
		if err := c.Bind(&a, &b); err != nil {
			return err
		}
		if err := do(a, b); err != nil {
			return err
		}
		return c.Ack()
	}
}

// seen is what went in and out of a socket.
var seen = sio.NewKey[*sightings]("seen")

type sightings struct {
	mu   sync.Mutex
	list [][]any
}

func (s *sightings) add(direction, event string, length int, bind func(...any) error) {
	args, into := make([]any, length), make([]any, length)
	for i := range args {
		into[i] = &args[i]
	}
	if err := bind(into...); err != nil {
		args = []any{err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, append([]any{direction, event}, args...))
}

// watched notes every event in both directions.
func watched(ns *sio.Namespace) {
	rooms(ns)
	ns.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		seen.Set(c.Socket, new(sightings))
		return nil
	}))
	ns.OnAny(func(c *sio.Ctx) {
		s, _ := seen.Get(c.Socket)
		s.add("in", c.Event(), c.Len(), c.Bind)
	})
	ns.OnAnyOutgoing(func(socket *sio.Socket, event string, args sio.Args) {
		s, _ := seen.Get(socket)
		s.add("out", event, args.Len(), args.Bind)
	})
	ns.On("ask me", sio.Reply(func(c *sio.Ctx, n int) (int, error) {
		return sio.EmitWithAck[int](c.Context(), c.Socket, "question", n)
	}))
	ns.On("seen", sio.Reply(func(c *sio.Ctx, _ struct{}) ([][]any, error) {
		s, _ := seen.Get(c.Socket)
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Clone(s.list), nil
	}))
}

// compressible sends text that shrinks, if it may.
func compressible(ns *sio.Namespace) {
	ns.On("sync", acknowledge)
	text := strings.Repeat("all work and no play ", 5_000)
	ns.On("text", sio.Bind(func(c *sio.Ctx, compress bool) error {
		return c.Self().Compress(compress).Emit("text", text)
	}))
	ns.On("text for all", sio.Bind(func(_ *sio.Ctx, compress bool) error {
		return ns.Broadcast().Compress(compress).Emit("text", text)
	}))
}

// floods sends more than fits into a connection that is not read: pictures, which
// may be dropped, and a number behind each tenth of them, which may not.
func floods(ns *sio.Namespace) {
	ns.On("sync", acknowledge)
	ns.On("flood", func(c *sio.Ctx) error {
		var id string
		var pictures int
		if err := c.Bind(&id, &pictures); err != nil {
			return err
		}
		image := picture{Image: make([]byte, 100_000)}
		for i := range pictures {
			if err := ns.To(id).Volatile().Emit("picture", image); err != nil {
				return err
			}
			if i%10 != 0 {
				continue
			}
			if err := ns.To(id).Emit("number", i); err != nil {
				return err
			}
		}
		return c.Ack()
	})
}

// children are namespaces that clients bring about: "/child-1" and so on, and those
// that a client proves to know the name of.
func children(srv *sio.Server, n *notes) {
	var mu sync.Mutex
	born := map[string]int{} // how often, by name
	srv.OnNewNamespace(func(ns *sio.Namespace) {
		mu.Lock()
		defer mu.Unlock()
		born[ns.Name()]++
	})
	numbered := srv.OfRegexp(regexp.MustCompile(`^/child-\d+$`))
	secret := srv.OfFunc(func(name string, h *sio.Handshake) bool {
		var auth struct{ Name string }
		return json.Unmarshal(h.Auth, &auth) == nil && "/secret "+auth.Name == name
	})
	for _, parent := range []*sio.Namespace{numbered, secret} {
		places(parent, n)
		parent.On("born", sio.Reply(func(c *sio.Ctx, _ struct{}) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return born[c.Namespace().Name()], nil
		}))
	}
	numbered.On("announce to all children", sio.Reply(func(_ *sio.Ctx, a announcement) (bool, error) {
		return true, numbered.To(a.To...).Emit("said", a.Text)
	}))
	numbered.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var auth struct{ Unwelcome bool }
		if err := c.Bind(&auth); err != nil || !auth.Unwelcome {
			return err
		}
		return &sio.Error{Message: "unwelcome"}
	}))
}

// A funeral is a cluster of one server that notes when a namespace has ended.
type funeral struct {
	cluster adapter.Cluster
	notes   *notes
}

func (f funeral) Join(namespace string, node adapter.Node) adapter.Adapter {
	return mourned{f.cluster.Join(namespace, node), func() { f.notes.make("end of "+namespace, "") }}
}

type mourned struct {
	adapter.Adapter

	over func()
}

func (m mourned) Close() error {
	defer m.over()
	return m.Adapter.Close()
}
