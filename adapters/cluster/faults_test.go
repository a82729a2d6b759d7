package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// A node is a server in a test.
type node struct {
	adapter.Adapter

	cluster *cluster.Cluster
	answer  func(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply))

	mu       sync.Mutex
	received []string
	errs     []error
}

func (n *node) Receive(m *adapter.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.received = append(n.received, string(m.Data))
}

func (n *node) Answer(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) {
	if n.answer != nil {
		n.answer(ctx, m, reply)
		return
	}
	reply(&adapter.Reply{Clients: 1, Ack: &adapter.Ack{Data: []byte(`["ok"]`)}})
}

func (n *node) got() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.received)
}

// told returns the errors that the server was told of since the last call.
func (n *node) told() []error {
	n.mu.Lock()
	defer n.mu.Unlock()
	errs := n.errs
	n.errs = nil
	return errs
}

// join makes a server join the root namespace. It leaves at the end of the test.
func join(t *testing.T, h *hub, o cluster.Options) *node {
	t.Helper()
	n := &node{cluster: h.cluster(o)}
	n.cluster.NotifyErrors(func(err error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.errs = append(n.errs, err)
	})
	n.Adapter = n.cluster.Join("/", n)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// three returns servers that know each other.
func three(t *testing.T, h *hub, o cluster.Options) [3]*node {
	t.Helper()
	nodes := [3]*node{join(t, h, o), join(t, h, o), join(t, h, o)}
	synctest.Wait()
	for _, n := range nodes {
		if s := n.cluster.Status(); len(s.Members) != 2 || !s.Healthy {
			t.Fatalf("status %+v", s)
		}
		n.told()
	}
	return nodes
}

func event(name string) *adapter.Message {
	return &adapter.Message{Kind: adapter.Broadcast, Data: []byte(fmt.Sprintf("[%q]", name))}
}

// ask asks all others for the number of their clients.
func (n *node) ask(ctx context.Context) (clients int, err error) {
	err = n.Ask(ctx, &adapter.Message{Kind: adapter.Count}, func(r *adapter.Reply) { clients += r.Clients })
	return clients, err
}

func (h *hub) do(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// cutOff makes a server neither hear nor be heard, as if its process hung.
func (h *hub) cutOff(id string, cut bool) {
	h.do(func() {
		for b := range h.brokers {
			if b.self == id {
				h.cut[b] = cut
			}
		}
	})
}

// A server that hangs is missing in answers, by name, until it is struck off (CF-6). When it
// is back, it is a member again.
func TestServersThatHangAreMissedAndStruckOff(t *testing.T) {
	t.Parallel()
	for _, uncounted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub()
			h.uncounted = uncounted
			n := three(t, h, cluster.Options{Name: "a name"})
			hung := n[2].cluster.Status().Server
			h.cutOff(hung, true)

			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			clients, err := n[0].ask(ctx)
			var missing *adapter.MissingError
			if clients != 1 || !errors.As(err, &missing) || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%d clients, %v", clients, err)
			}
			if !slices.Equal(missing.Servers, []string{hung}) || missing.Unknown != 0 {
				t.Errorf("missing %+v, want %s", missing, hung)
			}

			start := time.Now()
			for len(n[0].cluster.Status().Members) == 2 {
				time.Sleep(100 * time.Millisecond)
			}
			if d := time.Since(start); d > 11*time.Second {
				t.Errorf("struck off after %v", d)
			}
			var struck *cluster.StruckOffError
			if errs := n[0].told(); len(errs) != 1 || !errors.As(errs[0], &struck) || struck.ID != hung || struck.Name != "a name" {
				t.Errorf("told %v", errs)
			}
			h.cutOff(hung, false)
			time.Sleep(11 * time.Second)
			if clients, err := n[0].ask(t.Context()); clients != 2 || err != nil {
				t.Errorf("when it is back: %d clients, %v", clients, err)
			}
		})
	}
}

// A server whose time to answer is over has not answered in full, also if its word of that
// comes before the end of the request.
func TestAnswersThatRunOutOfTimeAreMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := three(t, h, cluster.Options{})
		n[2].answer = func(ctx context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
			reply(&adapter.Reply{Clients: 5})
			<-ctx.Done()
		}
		for range 20 { // the order of the two timers is random
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			clients, err := n[0].ask(ctx)
			cancel()
			if _, missing := errors.AsType[*adapter.MissingError](err); clients != 6 && clients != 1 || !missing {
				t.Fatalf("%d clients, %v", clients, err)
			}
		}
	})
}

// A server that was killed is struck off as soon as the broker knows, and nobody waits for
// it (CF-9).
func TestServersThatAreKilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := three(t, h, cluster.Options{})
		h.kill(n[2].cluster.Status().Server)
		start := time.Now()
		if clients, err := n[0].ask(t.Context()); clients != 1 || err != nil || time.Since(start) > 0 {
			t.Errorf("%d clients after %v, %v", clients, time.Since(start), err)
		}
		if s := n[0].cluster.Status(); len(s.Members) != 1 {
			t.Errorf("members %+v", s.Members)
		}
		time.Sleep(6500 * time.Millisecond) // once the broker has worked for a while
		if s := n[1].cluster.Status(); len(s.Members) != 1 {
			t.Errorf("of one that does not ask: members %+v", s.Members)
		}
	})
}

// A server that is killed while it answers is not waited for.
func TestServersThatAreKilledWhileTheyAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := three(t, h, cluster.Options{})
		n[2].answer = func(context.Context, *adapter.Message, func(*adapter.Reply)) {
			h.kill(n[2].cluster.Status().Server)
		}
		start := time.Now()
		if clients, err := n[0].ask(t.Context()); clients != 1 || err != nil || time.Since(start) > 2*time.Second {
			t.Errorf("%d clients after %v, %v", clients, time.Since(start), err)
		}
	})
}

// What is said while the broker is away arrives once, in order, when it is back. The
// application is told of both.
func TestBrokerThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := three(t, h, cluster.Options{})
		away := errors.New("away")
		h.do(func() { h.failing = away })
		var want []string
		for i := range 200 {
			if err := n[0].Publish(event(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("[%q]", fmt.Sprint(i)))
		}
		time.Sleep(20 * time.Second)
		if s := n[0].cluster.Status(); s.Healthy || !errors.Is(s.Err, away) || s.Queued < 200 || s.Lost != 0 {
			t.Errorf("status %+v", s)
		}
		h.do(func() { h.failing = nil })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for _, o := range n[1:] {
			if got := o.got(); !slices.Equal(got, want) {
				t.Errorf("got %q", got)
			}
		}
		if s := n[0].cluster.Status(); !s.Healthy || s.Queued != 0 || s.QueuedBytes != 0 || s.Lost != 0 || len(s.Members) != 2 {
			t.Errorf("status %+v", s)
		}
		if errs := n[0].told(); len(errs) != 2 || !errors.Is(errs[0], away) || errs[1] != nil {
			t.Errorf("told %v", errs)
		}
	})
}

// While the broker hangs, calls return, and the queue is bounded. What does not fit is
// counted and reported.
func TestBrokerThatHangs(t *testing.T) {
	t.Parallel()
	for _, dropOldest := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub()
			n := three(t, h, cluster.Options{MaxQueueBytes: 100_000, DropOldest: dropOldest})
			h.do(func() { h.hanging = true })
			refused := 0
			for i := range 1000 {
				if err := n[0].Publish(event(fmt.Sprint(i))); errors.Is(err, cluster.ErrQueueFull) {
					refused++
				} else if err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(8 * time.Second)
			s := n[0].cluster.Status()
			if s.Healthy || s.QueuedBytes > 100_000 || s.Lost < 500 || s.Lost > 800 {
				t.Errorf("status %+v", s)
			}
			if dropOldest != (refused == 0) {
				t.Errorf("%d calls failed", refused)
			}
			lost := 0
			for _, err := range n[0].told() {
				if l, ok := errors.AsType[*cluster.LossError](err); ok {
					lost += l.Messages
				}
			}
			if lost != int(s.Lost) {
				t.Errorf("told of %d lost messages, counted %d", lost, s.Lost)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := n[0].ask(ctx); err == nil {
				t.Error("asking had no error")
			}
			h.do(func() { h.hanging = false })
		})
	}
}

// A server that leaves sends what it has said before.
func TestLastWordsArrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := three(t, h, cluster.Options{})
		for i := range 500 {
			if err := n[0].Publish(event(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := n[0].Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := n[1].got(); len(got) != 500 {
			t.Errorf("%d messages arrived", len(got))
		}
		if s := n[1].cluster.Status(); len(s.Members) != 1 {
			t.Errorf("members %+v", s.Members)
		}
	})
}

// A server that missed what others said about their namespaces asks for it.
func TestMissedNamespacesAreAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.uncounted = true
		n := three(t, h, cluster.Options{})
		deaf := n[0].cluster.Status().Server
		h.cutOff(deaf, true)
		other := &node{cluster: n[1].cluster}
		other.Adapter = n[1].cluster.Join("/chat", other)
		mine := &node{cluster: n[0].cluster}
		mine.Adapter = n[0].cluster.Join("/chat", mine)
		synctest.Wait()
		h.cutOff(deaf, false)
		if clients, err := mine.ask(t.Context()); clients != 0 || err != nil {
			t.Fatalf("%d clients, %v", clients, err) // otherwise the test does not show anything
		}
		time.Sleep(6 * time.Second)
		if clients, err := mine.ask(t.Context()); clients != 1 || err != nil {
			t.Errorf("%d clients, %v", clients, err)
		}
		if err := errors.Join(other.Close(), mine.Close()); err != nil {
			t.Error(err)
		}
	})
}

// A server may send to a namespace before its own subscription has been confirmed. Then it
// says that it is in no namespace, and is in that one all the same.
func TestServersThatSendBeforeTheyHaveJoinedAreMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.uncounted = true
		asking := join(t, h, cluster.Options{})
		const early = "go0123456789abcd"
		b, _ := h.newBroker().(*hubBroker)
		b.Start(early, &official{hubBroker: b})
		defer b.Close()
		for _, p := range []*cluster.Packet{
			{Type: cluster.Broadcast, From: early, Namespace: "/", Message: event("early")},
			{Type: cluster.Heartbeat, From: early, Presence: &cluster.Presence{All: true}},
		} {
			if _, _, err := b.Publish(t.Context(), []*cluster.Packet{p}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		_, err := asking.ask(t.Context())
		if missing, ok := errors.AsType[*adapter.MissingError](err); !ok || !slices.Equal(missing.Servers, []string{early}) {
			t.Errorf("error %v, want one that misses %s", err, early)
		}
	})
}

// Thousands of namespaces fit into several heartbeats.
func TestManyNamespaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.uncounted = true
		a, b := h.cluster(cluster.Options{}), h.cluster(cluster.Options{})
		var all []*node
		for i := range 2500 {
			n := &node{cluster: a}
			n.Adapter = a.Join(fmt.Sprint("/", i), n)
			all = append(all, n)
		}
		synctest.Wait()
		var late []*node
		for _, i := range []int{0, 999, 1000, 2499} {
			n := &node{cluster: b}
			n.Adapter = b.Join(fmt.Sprint("/", i), n)
			late = append(late, n)
		}
		synctest.Wait()
		for _, n := range late {
			if clients, err := n.ask(t.Context()); clients != 1 || err != nil {
				t.Errorf("%d clients, %v", clients, err)
			}
		}
		for _, n := range slices.Concat(late, all) {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}
