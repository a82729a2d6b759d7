package chat

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// In a cluster, pages of all servers are in the same chat. Events for pages reach those of
// other servers by themselves. What servers have to know, they tell each other by
// server-side events:
//
//	said        a message that was posted; each server keeps a copy
//	delivered   who has it
//	moved       somebody came, went, or changed rooms: ask who is where
//	archive     a question: all that is kept, for a server that has just started
//	picture     a question: the bytes of a picture
//
// examples/chat/node is a server in JavaScript that does the same.

const (
	peerPatience = 2 * time.Second  // for answers of other servers
	retryPause   = 10 * time.Second // before servers that have not answered are asked again for their archives
)

// peers is what a chat needs to know about the other servers.
type peers struct {
	name  string // of this server; "" if it is alone
	alone bool   // it is in no cluster

	mu       sync.Mutex
	asking   bool // a goroutine asks who is online
	askAgain bool

	archives    sync.Mutex // held while they are asked for
	caughtUp    bool
	nextAttempt time.Time
}

// Name sets what pages call this server, in a cluster. Call it before clients connect.
func (c *Chat) Name(name string) { c.peers.name = name }

func (c *Chat) meetPeers() {
	c.peers.alone = c.srv.Options().Adapter == nil
	c.srv.OnServerEvent("said", func(_ context.Context, args sio.Args) (any, error) {
		var m Message
		if err := args.Bind(&m); err != nil {
			return nil, err
		}
		return nil, c.state.keep(archivedEntry{Message: m})
	})
	c.srv.OnServerEvent("delivered", func(_ context.Context, args sio.Args) (any, error) {
		var r receipt
		if err := args.Bind(&r); err != nil {
			return nil, err
		}
		c.state.deliver(r.Room, r.ID, r.User)
		return nil, nil
	})
	c.srv.OnServerEvent("moved", func(context.Context, sio.Args) (any, error) {
		c.askPeers()
		return nil, nil
	})
	c.srv.OnServerEvent("archive", func(context.Context, sio.Args) (any, error) {
		return c.state.archive(), nil
	})
	c.srv.OnServerEvent("picture", func(_ context.Context, args sio.Args) (any, error) {
		var in pictureRequest
		if err := args.Bind(&in); err != nil {
			return nil, err
		}
		p, _ := c.state.picture(in.Room, in.ID) // without one, another server may have it
		return pictureBytes{base64.StdEncoding.EncodeToString(p.Data)}, nil
	})
}

func (c *Chat) tellPeers(event string, args ...any) error {
	if c.peers.alone {
		return nil
	}
	return c.srv.ServerSideEmit(event, args...)
}

// askPeers finds out who is online at other servers, and shows it when that is known.
func (c *Chat) askPeers() {
	if c.peers.alone {
		return
	}
	c.peers.mu.Lock()
	defer c.peers.mu.Unlock()
	c.peers.askAgain = true
	if !c.peers.asking {
		c.peers.asking = true
		go c.fetchPeople() // ends when all have answered, or the server is shut down
	}
}

// fetchPeople asks until all servers have answered. One that has died is missing for as
// long as the cluster takes to strike it off.
func (c *Chat) fetchPeople() {
	for complete := true; c.goOnAsking(complete); {
		ctx, cancel := context.WithTimeout(context.Background(), peerPatience)
		sockets, err := c.srv.Broadcast().Fetch(ctx)
		closed := errors.Is(err, adapter.ErrClosed)
		if err != nil && !closed {
			<-ctx.Done() // a failure may come at once
		}
		cancel()
		complete = err == nil || closed
		c.state.setOthers(seatsOf(sockets), err == nil)
		_ = c.showHere() // fails only when the server is closed
	}
}

func (c *Chat) goOnAsking(complete bool) bool {
	c.peers.mu.Lock()
	defer c.peers.mu.Unlock()
	c.peers.asking = c.peers.askAgain || !complete
	c.peers.askAgain = false
	return c.peers.asking
}

// seatsOf returns the seats of sockets, by their ids.
func seatsOf(sockets []sio.RemoteSocket) map[string]*seat {
	seats := make(map[string]*seat)
	for _, s := range sockets {
		st := &seat{}
		if json.Unmarshal(s.Data["user"], &st.user) != nil || st.user.ID == "" {
			continue // not in the chat yet
		}
		for _, key := range s.Rooms {
			if name, ok := strings.CutPrefix(key, roomKey("")); ok {
				st.room = name
			}
		}
		seats[s.ID] = st
	}
	return seats
}

// catchUp gets what other servers have kept before this one has started.
func (c *Chat) catchUp(ctx context.Context) {
	p := &c.peers
	p.archives.Lock()
	defer p.archives.Unlock()
	if p.alone || p.caughtUp || time.Now().Before(p.nextAttempt) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, peerPatience)
	defer cancel()
	var errs []error
	for answer := range sio.ServerSideEmitWithAck[archive](ctx, c.srv.Namespace, "archive") {
		if answer.Err != nil {
			errs = append(errs, answer.Err)
			continue
		}
		c.state.merge(answer.Value)
	}
	p.caughtUp = errors.Join(errs...) == nil
	p.nextAttempt = time.Now().Add(retryPause)
}

// Missed says that messages of other servers may have been missed. Call it when the
// cluster is healthy again.
func (c *Chat) Missed() {
	c.peers.archives.Lock()
	c.peers.caughtUp, c.peers.nextAttempt = false, time.Time{}
	c.peers.archives.Unlock()
	c.askPeers()
}

// fetchPicture gets a picture that another server has kept.
func (c *Chat) fetchPicture(ctx context.Context, in pictureRequest) (Picture, error) {
	ctx, cancel := context.WithTimeout(ctx, peerPatience)
	defer cancel()
	for answer := range sio.ServerSideEmitWithAck[pictureBytes](ctx, c.srv.Namespace, "picture", in) {
		data, err := base64.StdEncoding.DecodeString(answer.Value.Data)
		if answer.Err == nil && err == nil && len(data) > 0 {
			return c.state.keepPicture(in.Room, in.ID, data)
		}
	}
	return Picture{}, errNoPicture
}

// keep adds a message of another server to the history.
func (s *state) keep(a archivedEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keepLocked(a)
}

func (s *state) keepLocked(a archivedEntry) error {
	if err := s.open(a.Message.Room); err != nil {
		return err
	}
	r, e := s.find(a.Message.Room), &entry{Message: a.Message, delivered: a.Delivered}
	old := r.same(e)
	if old == nil {
		r.insert(e)
		return nil
	}
	for id, name := range a.Delivered {
		if old.delivered == nil {
			old.delivered = make(map[string]string)
		}
		old.delivered[id] = name
	}
	return nil
}

func (s *state) archive() archive {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := archive{Epoch: s.epoch}
	for _, r := range s.rooms {
		room := archiveRoom{Name: r.name, Entries: []archivedEntry{}}
		for _, e := range r.entries {
			room.Entries = append(room.Entries, archivedEntry{e.Message, maps.Clone(e.delivered)})
		}
		a.Rooms = append(a.Rooms, room)
	}
	return a
}

func (s *state) merge(a archive) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Epoch != "" {
		s.epoch = min(s.epoch, a.Epoch)
	}
	for _, r := range a.Rooms {
		if s.open(r.Name) != nil {
			continue // there are too many rooms here
		}
		for _, e := range r.Entries {
			e.Message.Room = r.Name
			_ = s.keepLocked(e) // the room is open
		}
	}
}

// keepPicture notes the bytes of a picture and returns it.
func (s *state) keepPicture(room, id string, data []byte) (Picture, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entry(room, id)
	if e == nil || e.Picture == nil || len(data) > maxPicture {
		return Picture{}, errNoPicture
	}
	e.data = data
	s.find(room).trim()
	p := *e.Picture
	p.Data = data
	return p, nil
}

// setOthers notes who is online at other servers. If not all have answered, those who are
// not among seats stay.
func (s *state) setOthers(seats map[string]*seat, complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !complete {
		for id, st := range s.others {
			if seats[id] == nil {
				seats[id] = st
			}
		}
	}
	maps.DeleteFunc(seats, func(id string, _ *seat) bool { return s.seats[id] != nil })
	s.others = seats
	s.version++
	for _, st := range seats {
		if st.room != "" {
			_ = s.open(st.room) // or it is missing in this server's list
		}
	}
}
