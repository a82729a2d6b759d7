package cluster_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// A broker that drops packets is a gap, and is reported. What others have said about
// themselves meanwhile is asked for.
func TestDroppedPacketsAreAGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.uncounted = true
		n := three(t, h, cluster.Options{})
		slow := h.broker(n[0].cluster.Status().Server)
		h.do(func() { h.cut[slow] = true })
		other := &node{cluster: n[1].cluster}
		other.Adapter = n[1].cluster.Join("/chat", other)
		synctest.Wait()
		h.do(func() { h.cut[slow] = false })
		dropped := errors.New("dropped")
		slow.in.Missed(dropped)
		synctest.Wait()
		if s := n[0].cluster.Status(); s.Gaps != 1 || !s.Healthy {
			t.Errorf("status %+v", s)
		}
		if errs := n[0].told(); !slices.Equal(errs, []error{dropped}) {
			t.Errorf("told %v", errs)
		}
		mine := &node{cluster: n[0].cluster}
		mine.Adapter = n[0].cluster.Join("/chat", mine)
		synctest.Wait()
		if clients, err := mine.ask(t.Context()); clients != 1 || err != nil {
			t.Errorf("%d clients, %v", clients, err)
		}
		if err := errors.Join(other.Close(), mine.Close()); err != nil {
			t.Error(err)
		}
	})
}

// After the broker was lost, what waits is sent when the others are connected again, also if
// the broker cannot count them.
func TestWhatWaitsIsSentWhenTheOthersAreBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.probing = true
		n := three(t, h, cluster.Options{})
		mine := h.broker(n[0].cluster.Status().Server)
		late := h.broker(n[1].cluster.Status().Server)
		h.kill(late.self)
		mine.in.Disconnected(errors.New("lost"))
		if err := n[0].Publish(event("waits")); err != nil {
			t.Fatal(err)
		}
		mine.in.Connected(true)
		time.Sleep(2 * time.Second)
		if got := n[2].got(); len(got) > 0 {
			t.Errorf("%q arrived before all were back", got)
		}
		h.do(func() { h.brokers[late] = struct{}{} })
		time.Sleep(time.Second)
		for _, o := range n[1:] {
			if got := o.got(); !slices.Equal(got, []string{`["waits"]`}) {
				t.Errorf("got %q", got)
			}
		}
	})
}

// A broker may take no more than a megabyte: heartbeats and answers with a lot in them are
// several packets.
func TestPacketsAreNotLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		largest := 0
		h.encode = func(p *cluster.Packet) ([]byte, error) {
			data, err := cluster.AppendJSON(nil, p)
			largest = max(largest, len(data))
			return data, err
		}
		a, b := h.cluster(cluster.Options{}), h.cluster(cluster.Options{})
		var all []*node
		for i := range 900 {
			n := &node{cluster: a}
			n.Adapter = a.Join(strings.Repeat("long ", 1000)+string(rune('0'+i)), n)
			all = append(all, n)
		}
		synctest.Wait()
		asks := &node{cluster: b}
		asks.Adapter = b.Join(strings.Repeat("long ", 1000)+"0", asks)
		synctest.Wait()
		got := 0
		all[0].answer = answerSockets(5000)
		err := asks.Ask(t.Context(), &adapter.Message{Kind: adapter.Fetch}, func(r *adapter.Reply) { got += len(r.Sockets) })
		if got != 5000 || err != nil {
			t.Errorf("%d sockets, %v", got, err)
		}
		if largest > 1<<20 {
			t.Errorf("a packet of %d bytes", largest)
		}
		for _, n := range append(all, asks) {
			if err := n.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A limited hub takes packets up to a size.
type limited struct {
	*hubBroker

	limit int
}

func (b limited) MaxBytes() int { return b.limit }

// What is too large for the broker is refused where it is published, or counted when it is
// encoded. The next message is sent all the same, and the cluster stays healthy.
func TestPacketsThatAreTooLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.uncounted = true
		h.encode = func(p *cluster.Packet) ([]byte, error) {
			data, err := cluster.AppendJSON(nil, p)
			if len(data) > 2000 {
				return nil, fmt.Errorf("%w: encoded", cluster.ErrTooLarge)
			}
			return data, err
		}
		n := &node{cluster: cluster.New(func() cluster.Broker {
			b, _ := h.newBroker().(*hubBroker)
			return limited{b, 3000}
		}, cluster.Options{})}
		n.cluster.NotifyErrors(func(err error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.errs = append(n.errs, err)
		})
		n.Adapter = n.cluster.Join("/", n)
		other := join(t, h, cluster.Options{})
		synctest.Wait()
		err := n.Publish(event(strings.Repeat("x", 3000)))
		if !errors.Is(err, cluster.ErrTooLarge) {
			t.Errorf("error %v", err)
		}
		time.Sleep(2 * time.Second)
		for _, e := range []*adapter.Message{event(strings.Repeat("x", 2200)), event("small")} {
			if err := n.Publish(e); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if got := other.got(); !slices.Equal(got, []string{`["small"]`}) {
			t.Errorf("got %q", got)
		}
		if s := n.cluster.Status(); s.Lost != 2 || !s.Healthy {
			t.Errorf("status %+v", s)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if told := n.told(); len(told) != 2 || !errors.Is(told[0], cluster.ErrTooLarge) || !errors.Is(told[1], cluster.ErrTooLarge) {
			t.Errorf("told %v", told)
		}
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
}
