package siotest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/packet"
)

// ask asks with patience, and returns the replies.
func (m *member) ask(t *testing.T, msg *adapter.Message) (replies []*adapter.Reply, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	err = m.Ask(ctx, msg, func(r *adapter.Reply) { replies = append(replies, r) })
	return replies, err
}

// A reply is one in words, and who gave it.
func replyInWords(r *adapter.Reply) string {
	switch {
	case r.Ack != nil:
		args, err := packet.NewArgs(packet.Ack, r.Ack.Data, r.Ack.Attachments)
		if r.Ack.Data == nil {
			err = nil
		}
		return fmt.Sprintf("ack of %q: %s gone %t dropped %t blocked %t error %q (%v)",
			r.Ack.Socket, valuesInWords(args), r.Ack.Gone, r.Ack.Dropped, r.Ack.Blocked, r.Ack.Error, err)
	case r.Sockets != nil:
		var b strings.Builder
		for _, k := range r.Sockets {
			fmt.Fprintf(&b, "socket %s in %q with %s %s ", k.ID, k.Rooms, k.Data, k.Handshake)
		}
		return b.String()
	default:
		return fmt.Sprintf("expect %q, %d clients", r.Expected, r.Clients)
	}
}

// close: a closed member neither receives nor publishes.
func (s clusterSuite) close(t *testing.T) {
	m := s.members(t, 3)
	for range 2 {
		if err := m[0].Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := m[0].Publish(event("from beyond")); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("publishing after Close: %v", err)
	}
	if _, err := m[0].ask(t, event("from beyond")); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("asking after Close: %v", err)
	}
	mustPublish(t, m[1], event("to the others"))
	mustMean(t, m[2], m[2].next(t), event("to the others"))
	mustPublish(t, m[2], event("back"))
	mustMean(t, m[1], m[1].next(t), event("back"))
	select {
	case got := <-m[0].got:
		t.Errorf("received after Close: %s", inWords(got))
	default:
	}
}

// closeWaits: after Close, no call of Receive is still running.
func (s clusterSuite) closeWaits(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	var done atomic.Bool
	m := s.members(t, 2, func(i int, m *member) {
		if i == 1 {
			m.receive = func(*adapter.Message) {
				close(begun)
				<-release
				done.Store(true)
			}
		}
	})
	go func() { _ = m[0].Publish(event("e")) }() // ends when Receive does
	await(t, "a message", begun)
	closed := make(chan bool)
	go func() {
		_ = m[1].Close()
		closed <- done.Load()
	}()
	select {
	case <-closed:
		t.Fatal("Close returned while Receive was running")
	case <-time.After(20 * time.Millisecond): // too short for some of those that do not wait, and no failure then
	}
	close(release)
	if !await(t, "the end of Close", closed) {
		t.Error("Close returned while Receive was running")
	}
}

// joiningAgain: a server that has left a namespace may join it again, any number of times.
// The closed adapter does not disturb the new one.
func (s clusterSuite) joiningAgain(t *testing.T) {
	clusters := s.connect(t, 2)
	m := join(t, clusters, "/")
	old := m[0]
	for i := range 3 {
		if err := old.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		again := newMember(t, clusters[0], "/", fmt.Sprint("member 0, time ", i+2), nil)
		if err := old.Close(); err != nil { // once more, and too late
			t.Errorf("closing again: %v", err)
		}
		awaitConnected(t, []*member{again, m[1]})
		mustPublish(t, m[1], event("number", i))
		mustMean(t, again, again.next(t), event("number", i))
		mustPublish(t, again, event("back", i))
		mustMean(t, m[1], m[1].next(t), event("back", i))
		select {
		case got := <-old.got:
			t.Errorf("%s received after Close: %s", old.name, inWords(got))
		default:
		}
		old = again
	}
}

// answers: all replies of all others arrive, unchanged, those of one server in order.
func (s clusterSuite) answers(t *testing.T) {
	requests := map[adapter.Kind]*adapter.Message{
		adapter.Broadcast:   messages()[1],
		adapter.ServerEvent: event("ask", []byte{1}),
		adapter.Fetch:       {Kind: adapter.Fetch, Target: adapter.Target{Rooms: []string{"a"}}},
		adapter.Count:       {Kind: adapter.Count, Target: adapter.Target{Rooms: []string{"a"}, Except: []string{"b"}}},
	}
	replies := func(i int, k adapter.Kind) []*adapter.Reply {
		id := fmt.Sprint("socket", i)
		blob := []byte(`[{"_placeholder":true,"num":0},9007199254740993]`)
		switch k {
		case adapter.Broadcast:
			return []*adapter.Reply{
				{Expected: []string{id + "a", id + "b", id + "c", id + "d"}},
				{Ack: &adapter.Ack{Socket: id + "b", Data: blob, Attachments: [][]byte{{9}}}},
				{Ack: &adapter.Ack{Socket: id + "a", Gone: true}},
				{Ack: &adapter.Ack{Socket: id + "c", Dropped: true}},
				{Ack: &adapter.Ack{Socket: id + "d", Blocked: true}},
			}
		case adapter.ServerEvent:
			if i == 1 {
				return []*adapter.Reply{{Ack: &adapter.Ack{Error: "no"}}}
			}
			return []*adapter.Reply{{Ack: &adapter.Ack{Data: blob, Attachments: [][]byte{{}}}}}
		case adapter.Fetch:
			return []*adapter.Reply{{Sockets: []adapter.Socket{
				{ID: id, Rooms: []string{id, "a"}, Data: []byte(`{"n":1}`), Handshake: []byte(`{"url":"/"}`)},
			}}}
		case adapter.Count:
			return []*adapter.Reply{{Clients: 100 + i}}
		case adapter.Join, adapter.Leave, adapter.Disconnect: // are not asked for
		}
		return nil
	}
	m := s.members(t, 3, func(i int, m *member) {
		m.answer = func(_ context.Context, msg *adapter.Message, reply func(*adapter.Reply)) {
			mustMean(t, m, msg, requests[msg.Kind])
			for _, r := range replies(i, msg.Kind) {
				reply(r)
			}
		}
	})
	for k, msg := range requests {
		got, err := m[0].ask(t, msg)
		if err != nil {
			t.Errorf("kind %d: %v", k, err)
		}
		var words, want []string
		for _, r := range got {
			words = append(words, replyInWords(r))
		}
		for i := range 2 {
			var part []string
			for _, r := range replies(i+1, k) {
				part = append(part, replyInWords(r))
			}
			if at := slices.Index(words, part[0]); at < 0 || k == adapter.Broadcast && !inOrder(words, part) {
				t.Errorf("kind %d: got %q, want in this order %q", k, words, part)
			}
			want = append(want, part...)
		}
		if slices.Sort(words); !slices.Equal(words, sorted(want)) {
			t.Errorf("kind %d: got %q, want %q", k, words, want)
		}
	}
}

// inOrder reports whether all parts are in the list, the first one before the others.
func inOrder(list, parts []string) bool {
	first := slices.Index(list, parts[0])
	for _, p := range parts[1:] {
		if slices.Index(list, p) < first {
			return false
		}
	}
	return first >= 0
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

func (s clusterSuite) nobodyToAnswer(t *testing.T) {
	m := s.members(t, 1)
	if replies, err := m[0].ask(t, event("ask")); err != nil || len(replies) > 0 {
		t.Errorf("asking nobody: %d replies, %v", len(replies), err)
	}
	mustPublish(t, m[0], event("to nobody"))
}

// answersInPart: when the context ends, no more replies come.
func (s clusterSuite) answersInPart(t *testing.T) {
	release := make(chan struct{})
	var late sync.WaitGroup
	late.Add(1)
	m := s.members(t, 3, func(i int, m *member) {
		m.answer = func(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
			if i == 2 {
				defer late.Done()
				<-release // whatever its own context says
			}
			reply(&adapter.Reply{Ack: &adapter.Ack{Socket: m.name}})
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var replies atomic.Int64
	err := m[0].Ask(ctx, event("ask"), func(r *adapter.Reply) {
		if replies.Add(1); r.Ack.Socket != m[1].name {
			t.Errorf("reply of %s", r.Ack.Socket)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("asking until the context ends: %v", err)
	}
	close(release)
	late.Wait()
	for range 2 { // what is under way has arrived by then
		if _, err := m[0].ask(t, event("end")); err != nil {
			t.Error(err)
		}
	}
	if n := replies.Load(); n != 1 {
		t.Errorf("%d replies, want 1", n)
	}
	if err := m[0].Ask(ctx, event("end"), func(*adapter.Reply) {}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("asking with a context that has ended: %v", err)
	}
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if err := m[0].Ask(ctx, event("end"), func(*adapter.Reply) {}); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("asking after the deadline: %v", err)
	}
}

// orderOfRequests: Answer is called after all earlier messages have been received.
func (s clusterSuite) orderOfRequests(t *testing.T) {
	var received sync.Map
	m := s.members(t, 2, func(_ int, m *member) {
		m.receive = func(msg *adapter.Message) { received.Store(string(msg.Data), true) }
		m.answer = func(_ context.Context, msg *adapter.Message, reply func(*adapter.Reply)) {
			if _, ok := received.Load(string(msg.Data)); !ok {
				t.Errorf("asked %s before it was received", msg.Data)
			}
			reply(&adapter.Reply{Ack: &adapter.Ack{}})
		}
	})
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 25 {
				if err := m[0].Publish(event("e", g, i)); err != nil {
					t.Error(err)
				}
				if replies, err := m[0].ask(t, event("e", g, i)); err != nil || len(replies) != 1 {
					t.Errorf("%d replies, %v", len(replies), err)
				}
			}
		})
	}
	all.Wait()
}

func (s clusterSuite) oneReplyAtATime(t *testing.T) {
	const n = 100
	m := s.members(t, 3, func(_ int, m *member) {
		m.answer = func(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
			for range n {
				reply(&adapter.Reply{Ack: &adapter.Ack{}})
			}
		}
	})
	replies := 0 // the race detector has its say, too
	var busy atomic.Bool
	err := m[0].Ask(t.Context(), event("ask"), func(*adapter.Reply) {
		if busy.Swap(true) {
			t.Error("two replies at the same time")
		}
		replies++
		runtime.Gosched() // let another one come if it can
		busy.Store(false)
	})
	if err != nil || replies != 2*n {
		t.Errorf("%d replies, want %d (%v)", replies, 2*n, err)
	}
}

// membersThatLeave: a request does not wait for members that leave.
func (s clusterSuite) membersThatLeave(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	m := s.members(t, 3, func(i int, m *member) {
		m.answer = func(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
			if i == 2 {
				close(asked)
				<-release
				return
			}
			reply(&adapter.Reply{Ack: &adapter.Ack{Socket: m.name}})
		}
	})
	go func() {
		<-asked
		_ = m[2].Close()
	}()
	replies, err := m[0].ask(t, event("ask"))
	if len(replies) != 1 || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%d replies, %v", len(replies), err)
	}
	if _, err := m[0].ask(t, event("end")); err != nil {
		t.Errorf("asking those who are left: %v", err)
	}
}

// leavingWithARequest: a request ends when its own member leaves.
func (s clusterSuite) leavingWithARequest(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	m := s.members(t, 2, func(_ int, m *member) {
		m.answer = func(context.Context, *adapter.Message, func(*adapter.Reply)) {
			close(asked)
			<-release
		}
	})
	go func() {
		<-asked
		_ = m[0].Close()
	}()
	if _, err := m[0].ask(t, event("ask")); !errors.Is(err, adapter.ErrClosed) {
		t.Errorf("asking while leaving: %v", err)
	}
}

// concurrency: all at the same time, for the race detector.
func (s clusterSuite) concurrency(t *testing.T) {
	clusters := s.connect(t, 6)
	steady := join(t, clusters[:3], "/", func(_ int, m *member) {
		m.answer = func(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
			reply(&adapter.Reply{Expected: []string{m.name}})
			reply(&adapter.Reply{Ack: &adapter.Ack{Socket: m.name}})
		}
	})
	var all sync.WaitGroup
	for i, m := range steady {
		all.Go(func() {
			for k := range 20 {
				if err := m.Publish(event("e", i, k)); err != nil {
					t.Error(err)
				}
				if replies, err := m.ask(t, event("ask")); err != nil || len(replies) < 4 {
					t.Errorf("%d replies, %v", len(replies), err)
				}
			}
		})
		all.Go(func() {
			for k := range 20 {
				passing := newMember(t, clusters[3+i], "/", "a passing member", nil)
				if err := passing.Publish(event("passing", i, k)); err != nil {
					t.Error(err)
				}
				asked := make(chan error)
				go func() { asked <- passing.Ask(t.Context(), event("ask"), func(*adapter.Reply) {}) }()
				if err := passing.Close(); err != nil {
					t.Error(err)
				}
				if err := await(t, "the end of a request", asked); err != nil && !errors.Is(err, adapter.ErrClosed) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
