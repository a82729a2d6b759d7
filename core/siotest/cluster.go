package siotest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/packet"
)

// TestCluster tests an [adapter.Cluster]: first its adapters, then whole servers with
// clients. For every subtest, it calls connect, which returns n clusters, one for each
// server. They are connected with each other and with no other cluster. For servers in one
// process, all n may be the same. The subtest uses them until the functions that connect
// has passed to t.Cleanup are called.
//
//	func TestCluster(t *testing.T) {
//		siotest.TestCluster(t, func(t *testing.T, n int) []adapter.Cluster {
//			return slices.Repeat([]adapter.Cluster{adapter.NewMemory()}, n)
//		})
//	}
func TestCluster(t *testing.T, connect func(t *testing.T, n int) []adapter.Cluster) {
	t.Helper()
	for _, tt := range []struct {
		name string
		run  func(clusterSuite, *testing.T)
	}{
		{"messages", clusterSuite.messages},
		{"order", clusterSuite.order},
		{"namespaces apart", clusterSuite.namespacesApart},
		{"large messages", clusterSuite.large},
		{"publishing in Receive", clusterSuite.publishingInReceive},
		{"late members", clusterSuite.lateMembers},
		{"close", clusterSuite.close},
		{"close waits", clusterSuite.closeWaits},
		{"joining again", clusterSuite.joiningAgain},
		{"answers", clusterSuite.answers},
		{"nobody to answer", clusterSuite.nobodyToAnswer},
		{"answers in part", clusterSuite.answersInPart},
		{"missing members", clusterSuite.missing},
		{"order of requests", clusterSuite.orderOfRequests},
		{"one reply at a time", clusterSuite.oneReplyAtATime},
		{"members that leave", clusterSuite.membersThatLeave},
		{"leaving with a request", clusterSuite.leavingWithARequest},
		{"concurrency", clusterSuite.concurrency},
		{"servers: broadcasts", clusterSuite.broadcasts},
		{"servers: order", clusterSuite.broadcastOrder},
		{"servers: sets", clusterSuite.sets},
		{"servers: rooms that come and go", clusterSuite.roomsThatComeAndGo},
		{"servers: fetch", clusterSuite.fetch},
		{"servers: count", clusterSuite.count},
		{"servers: exact values", clusterSuite.exactValues},
		{"servers: acks", clusterSuite.acks},
		{"servers: acks in part", clusterSuite.acksInPart},
		{"servers: server-side events", clusterSuite.serverEvents},
		{"servers: shutdown", clusterSuite.shutdownOfOne},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(clusterSuite{connect}, t) })
	}
}

type clusterSuite struct {
	connect func(t *testing.T, n int) []adapter.Cluster
}

// A member is one server's namespace in a cluster, without the server. It implements
// [adapter.Node].
type member struct {
	adapter.Adapter

	got    chan *adapter.Message
	probed chan string // names of the members whose probe has arrived
	name   string

	// Called for messages and requests; set before any member publishes.
	receive func(m *adapter.Message)
	answer  func(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply))
}

const (
	// maxReceived is more than any test has one member receive.
	maxReceived = 10_000

	// probe is the event by which members find out that they are connected.
	probe = "siotest probe"
)

// Receive implements [adapter.Node].
func (m *member) Receive(msg *adapter.Message) {
	if from, ok := strings.CutPrefix(string(msg.Data), `["`+probe+`","`); ok {
		select {
		case m.probed <- strings.TrimSuffix(from, `"]`):
		default: // the test does not wait for it any more
		}
		return
	}
	if m.receive != nil {
		m.receive(msg)
	}
	m.got <- msg
}

// Answer implements [adapter.Node]. No member answers the request "end".
func (m *member) Answer(ctx context.Context, msg *adapter.Message, reply func(*adapter.Reply)) {
	if m.answer != nil && string(msg.Data) != string(event("end").Data) {
		m.answer(ctx, msg, reply)
	}
}

// next returns the next message.
func (m *member) next(t *testing.T) *adapter.Message {
	t.Helper()
	return await(t, "a message for "+m.name, m.got)
}

// members returns n members of a namespace that are connected with each other.
func (s clusterSuite) members(t *testing.T, n int, setup ...func(i int, m *member)) []*member {
	t.Helper()
	return join(t, s.connect(t, n), "/", setup...)
}

// join joins a namespace of every cluster, and waits until the members are connected with
// each other.
func join(t *testing.T, clusters []adapter.Cluster, namespace string, setup ...func(i int, m *member)) []*member {
	t.Helper()
	members := make([]*member, len(clusters))
	for i, c := range clusters {
		members[i] = newMember(t, c, namespace, fmt.Sprint("member ", i), func(m *member) {
			for _, f := range setup {
				f(i, m)
			}
		})
	}
	awaitConnected(t, members)
	return members
}

func newMember(t *testing.T, c adapter.Cluster, namespace, name string, setup func(m *member)) *member {
	t.Helper()
	m := &member{name: name, got: make(chan *adapter.Message, maxReceived), probed: make(chan string, maxReceived)}
	if setup != nil {
		setup(m)
	}
	m.Adapter = c.Join(namespace, m)
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("closing %s: %v", m.name, err)
		}
	})
	return m
}

// awaitConnected waits until all members are connected with each other: with a broker,
// that takes some time.
func awaitConnected(t *testing.T, members []*member) {
	t.Helper()
	var all sync.WaitGroup
	settled := make(chan struct{})
	for _, m := range members {
		all.Go(func() {
			for heard := map[string]bool{}; len(heard) < len(members)-1; {
				heard[await(t, "a word from other members of the cluster", m.probed)] = true
			}
		})
	}
	go func() {
		all.Wait()
		close(settled)
	}()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		for _, m := range members {
			if err := m.Publish(event(probe, m.name)); err != nil {
				t.Errorf("publishing before the cluster is ready: %v", err)
			}
		}
		select {
		case <-settled:
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// event returns a server-side event.
func event(name string, args ...any) *adapter.Message {
	data, attachments, err := packet.AppendEventData(nil, nil, name, args)
	if err != nil {
		data = []byte(fmt.Sprintf("[%q]", err))
	}
	return &adapter.Message{Kind: adapter.ServerEvent, Data: data, Attachments: attachments}
}

// messages returns a message of every kind that is published. The fields have values that
// are easily lost.
func messages() []*adapter.Message {
	blob := []byte(`["e",{"b":{"_placeholder":true,"num":1},"n":9007199254740993},{"_placeholder":true,"num":0},"é\u0000\ud83d\ude00"]`)
	return []*adapter.Message{
		{Kind: adapter.Broadcast, Data: []byte(`["e"]`)},
		{
			Kind: adapter.Broadcast, Data: blob, Attachments: [][]byte{{}, {0, 1, 0xff}}, Volatile: true, NoCompress: true,
			Target: adapter.Target{Rooms: []string{"a", "b c", ""}, Except: []string{"ü", "x"}},
		},
		{Kind: adapter.Broadcast, Data: []byte(`[1.5,null,[],{}]`), Target: adapter.Target{Except: []string{"x"}}},
		{Kind: adapter.Join, Target: adapter.Target{Rooms: []string{"a"}}, Rooms: []string{"b", "c"}},
		{Kind: adapter.Leave, Target: adapter.Target{Except: []string{"a"}}, Rooms: []string{"b"}},
		{Kind: adapter.Disconnect, Target: adapter.Target{Rooms: []string{"a"}}},
		{Kind: adapter.Disconnect, Close: true},
		event("server-side", "x", []byte{1}, nil),
	}
}

// inWords describes the meaning of a message, so that other spellings of it are equal.
func inWords(m *adapter.Message) string {
	s := fmt.Sprintf("kind %d to %q except %q, rooms %q, pin %t, close %t, volatile %t, uncompressed %t",
		m.Kind, m.Target.Rooms, m.Target.Except, m.Rooms, m.Pin, m.Close, m.Volatile, m.NoCompress)
	if m.Data == nil {
		return s
	}
	p, err := packet.Build(packet.Packet{Type: packet.Event}, m.Data, m.Attachments)
	if err != nil {
		return fmt.Sprintf("%s, data %.100q: %v", s, m.Data, err)
	}
	return s + ", event " + string(p.Name) + " " + valuesInWords(p.Args)
}

func valuesInWords(args packet.Args) string {
	values, dst := make([]any, args.Len()), make([]any, args.Len())
	for i := range dst {
		dst[i] = &values[i]
	}
	if err := args.Decode(nil, dst...); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%#v", values)
}

func mustMean(t *testing.T, m *member, got, want *adapter.Message) {
	t.Helper()
	if g, w := inWords(got), inWords(want); g != w {
		t.Fatalf("%s received\n%s\nwant\n%s", m.name, abbreviate(g), abbreviate(w))
	}
}

func mustPublish(t *testing.T, m *member, msg *adapter.Message) {
	t.Helper()
	if err := m.Publish(msg); err != nil {
		t.Fatalf("%s publishes: %v", m.name, err)
	}
}

// messages: all other members get a message, unchanged, but not the one that published it.
func (s clusterSuite) messages(t *testing.T) {
	m := s.members(t, 3)
	for i, msg := range messages() {
		mustPublish(t, m[0], msg)
		mustMean(t, m[0], msg, messages()[i]) // which it must not change
	}
	for _, other := range m[1:] {
		for _, want := range messages() {
			mustMean(t, other, other.next(t), want)
		}
	}
	end := event("end")
	mustPublish(t, m[1], end)
	mustMean(t, m[0], m[0].next(t), end)
	mustMean(t, m[2], m[2].next(t), end)
}

// order: the messages of one server arrive in order, also while others publish.
func (s clusterSuite) order(t *testing.T) {
	const n = 300
	m := s.members(t, 3)
	var all sync.WaitGroup
	for from, p := range m {
		all.Go(func() {
			for i := range n {
				if err := p.Publish(event("n", from, i)); err != nil {
					t.Errorf("%s publishes: %v", p.name, err)
				}
			}
		})
	}
	all.Wait()
	for to, r := range m {
		next := map[int]int{}
		for range n * (len(m) - 1) {
			from, i := 0, 0
			if _, err := fmt.Sscanf(string(r.next(t).Data), `["n",%d,%d]`, &from, &i); err != nil || from == to || i != next[from] {
				t.Fatalf("%s received number %d of member %d, want %d (%v)", r.name, i, from, next[from], err)
			}
			next[from]++
		}
	}
}

// namespacesApart: a message of one namespace does not arrive in others.
func (s clusterSuite) namespacesApart(t *testing.T) {
	clusters := s.connect(t, 2)
	names := []string{"/", "/a", "/a/b", "/a#", "/a b", "/ü日", "/*", `/"x"`}
	all := make(map[string][]*member)
	for _, name := range names {
		all[name] = join(t, clusters, name)
	}
	for _, name := range names {
		mustPublish(t, all[name][0], event("only in", name))
	}
	for _, name := range names {
		mustPublish(t, all[name][0], event("end"))
		mustMean(t, all[name][1], all[name][1].next(t), event("only in", name))
		mustMean(t, all[name][1], all[name][1].next(t), event("end"))
	}
}

func (s clusterSuite) large(t *testing.T) {
	m := s.members(t, 2)
	msg := event("large", strings.Repeat("x", 1<<20), make([]byte, 70_000))
	mustPublish(t, m[0], msg)
	mustMean(t, m[1], m[1].next(t), msg)
}

// publishingInReceive: a node may publish while it receives.
func (s clusterSuite) publishingInReceive(t *testing.T) {
	m := s.members(t, 3, func(i int, m *member) {
		if i == 1 {
			m.receive = func(*adapter.Message) {
				if err := m.Publish(event("pong")); err != nil {
					t.Errorf("publishing in Receive: %v", err)
				}
			}
		}
	})
	mustPublish(t, m[0], event("ping"))
	mustMean(t, m[0], m[0].next(t), event("pong"))
	got := []string{inWords(m[2].next(t)), inWords(m[2].next(t))}
	slices.Sort(got)
	if want := []string{inWords(event("ping")), inWords(event("pong"))}; !slices.Equal(got, want) {
		t.Errorf("a third member received %q", got)
	}
}

// lateMembers: a member gets the messages that are published after it has joined.
func (s clusterSuite) lateMembers(t *testing.T) {
	clusters := s.connect(t, 3)
	early := join(t, clusters[:2], "/")
	mustPublish(t, early[0], event("before"))
	mustMean(t, early[1], early[1].next(t), event("before"))
	late := newMember(t, clusters[2], "/", "a late member", nil)
	awaitConnected(t, append(early, late))
	mustPublish(t, early[0], event("after"))
	mustMean(t, late, late.next(t), event("after"))
	mustPublish(t, late, event("hello"))
	mustMean(t, early[0], early[0].next(t), event("hello"))
}
