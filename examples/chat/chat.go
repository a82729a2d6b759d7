// Package chat is a small chat for a [sio.Server]: rooms, who is online,
// typing, messages with pictures, and ticks that tell what became of them.
//
// It knows no web framework. A program gives it the server and a function that
// says who is behind a socket, and serves its pages:
//
//	room := chat.Register(srv, who)
//
// State is kept in memory and bounded: 24 rooms, 50 messages each. In a cluster, each
// server has a copy: see cluster.go.
package chat

import (
	"errors"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// A Chat is the chat of one server. Its methods may be called concurrently.
type Chat struct {
	srv   *sio.Server
	who   func(*sio.Socket) User
	seat  *sio.Key[*seat]
	user  *sio.Key[User] // for the other servers
	state *state
	peers peers
}

// Register adds the chat to srv's root namespace. who returns the user that the
// application has authenticated for a socket; a user without ID is refused.
func Register(srv *sio.Server, who func(*sio.Socket) User) *Chat {
	c := &Chat{srv: srv, who: who, seat: sio.NewKey[*seat]("seat"), user: sio.NewDataKey[User]("user"), state: newState()}
	srv.UseConnect(sio.Guard(c.admit))
	srv.OnConnect(c.enter)
	srv.OnDisconnect(c.exit)
	srv.UseEvents(ratelimit.PerSocket(50, time.Second)) // ticks, mostly: a page sends one for each message that comes
	srv.On("join", sio.Reply(c.join))
	srv.On("post", sio.Reply(c.post), ratelimit.PerUser(c.userID, 20, 10*time.Second))
	srv.On("picture", sio.Reply(c.picture))
	srv.On("typing", sio.Bind(c.typing))
	srv.On("received", sio.Bind(c.received))
	c.meetPeers()
	return c
}

// Rooms returns the rooms and who is in them.
func (c *Chat) Rooms() []Room { return c.state.presence().Rooms }

// Announce publishes a message from outside any socket, such as from a REST
// handler. It returns [ErrNoRoom] if there is no such room.
func (c *Chat) Announce(from User, room, text string) (Message, error) {
	text, err := cleanText(text)
	if err != nil {
		return Message{}, err
	}
	if text == "" {
		return Message{}, &sio.Error{Message: "An announcement needs a text."}
	}
	m, _, err := c.state.add(&entry{Message: Message{Room: room, From: from, Text: text, Announcement: true}})
	if err != nil {
		return Message{}, err
	}
	return m, errors.Join(
		c.tellPeers("said", m),
		c.srv.To(roomKey(room)).Emit("message", m),
		c.srv.Except(roomKey(room)).Emit("activity", activity{Room: room}),
	)
}

// Goodbye tells the pages of this server that it is about to stop, so that they can
// say so instead of guessing. Call it before the server's Shutdown.
func (c *Chat) Goodbye() error { return c.srv.Broadcast().Local().Emit("goodbye") }

// admit refuses whom the application does not know, and a name that two people
// would share. The second check is a courtesy: identity is the ID.
func (c *Chat) admit(ctx *sio.Ctx) error {
	user := c.who(ctx.Socket)
	if user.ID == "" {
		return &sio.Error{Message: "Please sign in."}
	}
	if c.state.taken(user) {
		return &sio.Error{Message: "This name is in use.", Data: map[string]string{"name": user.Name}}
	}
	c.seat.Set(ctx.Socket, &seat{user: user})
	c.user.Set(ctx.Socket, user)
	return nil
}

func (c *Chat) enter(ctx *sio.Ctx) error {
	st := c.seatOf(ctx.Socket)
	c.state.enter(ctx.ID(), st)
	if err := ctx.Join(userKey(st.user)); err != nil {
		return err
	}
	return c.showPresence()
}

func (c *Chat) exit(s *sio.Socket, _ sio.Reason) {
	c.state.leave(s.ID())
	_ = c.showPresence() // fails only when the server is closed
}

// join moves a socket into a room and answers with what was said there. The
// socket joins before the history is read: a message may come twice, which the
// page notices by its id, but none is missed.
func (c *Chat) join(ctx *sio.Ctx, in joinRequest) (joined, error) {
	c.catchUp(ctx.Context())
	from, err := c.state.move(c.seatOf(ctx.Socket), in.Room)
	if err != nil {
		return joined{}, err
	}
	if from != "" && from != in.Room {
		if err := ctx.Leave(roomKey(from)); err != nil {
			return joined{}, err
		}
	}
	if err := ctx.Join(roomKey(in.Room)); err != nil {
		return joined{}, err
	}
	reply := joined{
		Room: in.Room, Server: c.peers.name, Epoch: c.state.currentEpoch(), Messages: c.state.history(in.Room),
	}
	return reply, c.showPresence()
}

// post publishes a message. Its acknowledgement is the sender's first tick.
func (c *Chat) post(ctx *sio.Ctx, in postRequest) (posted, error) {
	e, err := newEntry(c.seatOf(ctx.Socket).user, in)
	if err != nil {
		return posted{}, err
	}
	m, fresh, err := c.state.add(e)
	if err != nil {
		return posted{}, err
	}
	reply := posted{ID: m.ID, At: m.At}
	if !fresh {
		return reply, nil
	}
	told := c.tellPeers("said", m) // first: so they know the message before pages confirm it
	if m.Picture != nil {
		withData := *m.Picture
		withData.Data = in.Picture
		m.Picture = &withData
	}
	room := roomKey(m.Room)
	return reply, errors.Join(
		told,
		ctx.To(room).Emit("message", m),
		ctx.Except(room).Emit("activity", activity{Room: m.Room}),
	)
}

func newEntry(from User, in postRequest) (*entry, error) {
	const maxNonce = 64
	text, err := cleanText(in.Text)
	switch {
	case err != nil:
		return nil, err
	case text == "" && len(in.Picture) == 0:
		return nil, &sio.Error{Message: "A message needs a text or a picture."}
	case in.Nonce == "" || len(in.Nonce) > maxNonce:
		return nil, &sio.Error{Message: "A message needs a nonce of 64 bytes at most."}
	}
	e := &entry{Message: Message{Nonce: in.Nonce, Room: in.Room, From: from, Text: text}}
	if len(in.Picture) > 0 {
		if e.Picture, err = inspect(in.Picture); err != nil {
			return nil, err
		}
		e.data = in.Picture
	}
	return e, nil
}

// received notes that messages have arrived at another person's page: the
// author's second tick.
func (c *Chat) received(ctx *sio.Ctx, in receivedRequest) error {
	user := c.seatOf(ctx.Socket).user
	for _, id := range in.IDs[:min(len(in.IDs), maxHistory)] {
		m, news := c.state.deliver(in.Room, id, user)
		if !news {
			continue
		}
		if err := c.tellPeers("delivered", receipt{m.Room, m.ID, user}); err != nil {
			return err
		}
		tick := delivered{Room: m.Room, ID: m.ID, Nonce: m.Nonce, To: m.DeliveredTo}
		if err := c.srv.To(userKey(m.From)).Emit("delivered", tick); err != nil {
			return err
		}
	}
	return nil
}

func (c *Chat) picture(ctx *sio.Ctx, in pictureRequest) (Picture, error) {
	p, err := c.state.picture(in.Room, in.ID)
	if err == nil {
		return p, nil
	}
	return c.fetchPicture(ctx.Context(), in)
}

// typing is not worth a place in a queue: who cannot hear of it now need not.
func (c *Chat) typing(ctx *sio.Ctx, in typingRequest) error {
	st := c.seatOf(ctx.Socket)
	room := c.state.roomOf(st)
	if room == "" {
		return nil
	}
	return ctx.To(roomKey(room)).Volatile().Emit("typing", typing{Room: room, User: st.user, On: in.On})
}

// showPresence tells everyone who is online and where. Each server does that for its own
// pages.
func (c *Chat) showPresence() error {
	c.askPeers()
	return errors.Join(c.showHere(), c.tellPeers("moved"))
}

func (c *Chat) showHere() error {
	return c.srv.Broadcast().Local().Emit("presence", c.state.presence())
}

func (c *Chat) userID(s *sio.Socket) string { return c.seatOf(s).user.ID }

func (c *Chat) seatOf(s *sio.Socket) *seat {
	st, _ := c.seat.Get(s)
	return st // admit has set it
}

// A server's rooms carry everything that has an audience. The prefixes keep a
// room called like a user's id from being that user's private channel.
func roomKey(name string) string { return "room:" + name }
func userKey(u User) string      { return "user:" + u.ID }
