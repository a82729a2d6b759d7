package chat_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"slices"
	"sync/atomic"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/examples/chat"
)

// newChat returns a server of a cluster whose clients say in their auth who they are.
func newChat(t *testing.T, cluster adapter.Cluster, name string) (*sio.Server, *chat.Chat) {
	t.Helper()
	srv := sio.New(&sio.Options{Adapter: cluster})
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	who := sio.NewKey[chat.User]("who")
	srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		var u chat.User
		err := c.Bind(&u)
		who.Set(c.Socket, u)
		return err
	}))
	room := chat.Register(srv, func(s *sio.Socket) chat.User {
		u, _ := who.Get(s)
		return u
	})
	room.Name(name)
	return srv, room
}

type welcome struct {
	Server, Epoch string
	Messages      []chat.Message
}

func enter(t *testing.T, srv *sio.Server, name string) (*siotest.Peer, welcome) {
	t.Helper()
	p := siotest.Connect(t, srv, "/", chat.User{ID: "id of " + name, Name: name})
	var w welcome
	p.Ask("join", map[string]string{"room": "general"}).Bind(&w)
	return p, w
}

// next returns the next event of that name that is as wanted.
func next[T any](p *siotest.Peer, name string, wanted func(T) bool) (v T) {
	for {
		if e := p.Next(); e.Name == name {
			var v T
			e.Bind(&v)
			if wanted(v) {
				return v
			}
		}
	}
}

func online(names ...string) func(chat.Presence) bool {
	return func(p chat.Presence) bool {
		var got []string
		for _, u := range p.Users {
			got = append(got, u.Name)
		}
		return slices.Equal(got, names) && len(p.Rooms[0].Members) == len(names)
	}
}

func TestServersOfAClusterAreOneChat(t *testing.T) {
	t.Parallel()
	cluster := adapter.NewMemory()
	one, _ := newChat(t, cluster, "one")
	two, room := newChat(t, cluster, "two")
	ann, _ := enter(t, one, "Ann")
	ben, w := enter(t, two, "Ben")
	if w.Server != "two" {
		t.Errorf("the page is told that its server is %q", w.Server)
	}
	next(ann, "presence", online("Ann", "Ben"))
	next(ben, "presence", online("Ann", "Ben"))
	if _, err := room.NewUser("ann"); err == nil {
		t.Error("Ann's name is free at the other server")
	}

	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	var posted struct{ ID string }
	ann.Ask("post", map[string]any{"room": "general", "nonce": "n", "text": "Hello", "picture": picture.Bytes()}).Bind(&posted)
	m := next(ben, "message", func(chat.Message) bool { return true })
	if m.ID != posted.ID || m.Text != "Hello" || !bytes.Equal(m.Picture.Data, picture.Bytes()) {
		t.Errorf("Ben got %+v", m)
	}
	ben.Emit("received", map[string]any{"room": "general", "ids": []string{m.ID}})
	next(ann, "delivered", func(d struct{ To []string }) bool { return slices.Equal(d.To, []string{"Ben"}) })

	// What was sent again to another server is kept once.
	var again struct{ ID string }
	_, w = enter(t, two, "Ann")
	ann2 := siotest.Connect(t, two, "/", chat.User{ID: "id of Ann", Name: "Ann"})
	ann2.Ask("post", map[string]any{"room": "general", "nonce": "n", "text": "Hello"}).Bind(&again)
	if again.ID != posted.ID || len(w.Messages) != 1 || !slices.Equal(w.Messages[0].DeliveredTo, []string{"Ben"}) {
		t.Errorf("sent again: %q after %q, in the history %+v", again.ID, posted.ID, w.Messages)
	}
}

// A server that starts late knows what was said, and gets pictures when they are asked for.
func TestServerThatStartsCatchesUp(t *testing.T) {
	t.Parallel()
	cluster := adapter.NewMemory()
	one, _ := newChat(t, cluster, "one")
	ann, first := enter(t, one, "Ann")
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	ann.Ask("post", map[string]any{"room": "general", "nonce": "n", "text": "Hello", "picture": picture.Bytes()}).Bind()

	two, _ := newChat(t, cluster, "two")
	ben, w := enter(t, two, "Ben")
	if len(w.Messages) != 1 || w.Messages[0].Text != "Hello" || w.Epoch != first.Epoch {
		t.Fatalf("the history is %+v, in the run %s after %s", w.Messages, w.Epoch, first.Epoch)
	}
	var got chat.Picture
	ben.Ask("picture", map[string]string{"room": "general", "id": w.Messages[0].ID}).Bind(&got)
	if !bytes.Equal(got.Data, picture.Bytes()) || got.Width != 3 {
		t.Errorf("the picture has %d bytes", len(got.Data))
	}
	if err := ben.Ask("picture", map[string]string{"room": "general", "id": "unknown"}).Err(); err == nil {
		t.Error("a picture that nobody has was found")
	}
}

func TestGoodbyeIsForTheServersOwnPages(t *testing.T) {
	t.Parallel()
	cluster := adapter.NewMemory()
	one, room := newChat(t, cluster, "one")
	two, _ := newChat(t, cluster, "two")
	ann, _ := enter(t, one, "Ann")
	ben, _ := enter(t, two, "Ben")
	if err := room.Goodbye(); err != nil {
		t.Fatal(err)
	}
	for ann.Next().Name != "goodbye" {
		continue
	}
	ann.Ask("post", map[string]any{"room": "general", "nonce": "n", "text": "Last"}).Bind()
	for e := ben.Next(); e.Name != "message"; e = ben.Next() {
		if e.Name == "goodbye" {
			t.Error("a page of another server is told that its server stops")
		}
	}
}

// A server that was cut off gets what it has missed with the next page that joins.
func TestMissedMessagesAreFetched(t *testing.T) {
	t.Parallel()
	cluster := &deafCluster{Cluster: adapter.NewMemory()}
	one, _ := newChat(t, cluster.Cluster, "one")
	two, room := newChat(t, cluster, "two")
	ann, _ := enter(t, one, "Ann")
	enter(t, two, "Ben")
	cluster.deaf.Store(true)
	ann.Ask("post", map[string]any{"room": "general", "nonce": "n", "text": "Hello"}).Bind()
	cluster.deaf.Store(false)
	if _, w := enter(t, two, "Cleo"); len(w.Messages) != 0 {
		t.Fatalf("nothing was missed: %+v", w.Messages)
	}
	room.Missed()
	if _, w := enter(t, two, "Dora"); len(w.Messages) != 1 {
		t.Errorf("the history is %+v", w.Messages)
	}
}

// A deafCluster is one whose servers may miss messages.
type deafCluster struct {
	adapter.Cluster

	deaf atomic.Bool
}

func (c *deafCluster) Join(namespace string, node adapter.Node) adapter.Adapter {
	return c.Cluster.Join(namespace, deafNode{node, c})
}

type deafNode struct {
	adapter.Node

	cluster *deafCluster
}

func (n deafNode) Receive(m *adapter.Message) {
	if !n.cluster.deaf.Load() {
		n.Node.Receive(m)
	}
}
