package users_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/middleware/users"
)

// A cuttable cluster connects servers until they are cut off, as by the death of a server
// or by a partition.
type cuttable struct {
	adapter.Cluster

	cut atomic.Bool
}

type cuttableAdapter struct {
	adapter.Adapter

	cluster *cuttable
}

type cuttableNode struct {
	adapter.Node

	cluster *cuttable
}

func (c *cuttable) Join(namespace string, n adapter.Node) adapter.Adapter {
	return cuttableAdapter{c.Cluster.Join(namespace, cuttableNode{n, c}), c}
}

func (a cuttableAdapter) Publish(m *adapter.Message) error {
	if a.cluster.cut.Load() {
		return nil
	}
	return a.Adapter.Publish(m)
}

func (n cuttableNode) Receive(m *adapter.Message) {
	if !n.cluster.cut.Load() {
		n.Node.Receive(m)
	}
}

// cutCluster returns three servers, of which the last one can be cut off.
func cutCluster(t *testing.T, o users.Options) (nodes []server, diaries []*diary, last *cuttable) {
	t.Helper()
	memory := adapter.NewMemory()
	last = &cuttable{Cluster: memory}
	for i, c := range []adapter.Cluster{memory, memory, last} {
		d := new(diary)
		if i == 1 && !o.EveryServer {
			d = diaries[0] // one for both
		}
		diaries = append(diaries, d)
		nodes = append(nodes, newServer(t, c, d, o, sio.Options{}))
	}
	settle()
	return nodes, diaries, last
}

// The users of a server that is killed go offline on the others, once, after 15 seconds of
// silence. A user who is on another server as well, or comes there in time, stays.
func TestAServerIsKilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nodes, diaries, last := cutCluster(t, users.Options{})
		for _, id := range []string{"ann", "bob", "cid"} {
			nodes[2].Connect(t, "/", as(id))
		}
		nodes[0].Connect(t, "/", as("bob"))
		settle()
		if n := len(diaries[0].take()) + len(diaries[2].take()); n != 3 {
			t.Errorf("%d calls", n)
		}
		last.cut.Store(true)
		time.Sleep(5 * time.Second)
		nodes[1].Connect(t, "/", as("cid"))
		time.Sleep(4 * time.Second)
		diaries[0].want(t)
		time.Sleep(15 * time.Second)
		diaries[0].want(t, "-ann")
		if !nodes[1].people.Online("bob") || nodes[0].people.Online("ann") {
			t.Error("wrong users are online")
		}
	})
}

// When a partition ends, the side that has called OnOffline calls OnOnline. The other side
// likewise, for the users of the first one.
func TestPartitions(t *testing.T) {
	t.Parallel()
	for _, every := range []bool{false, true} {
		t.Run(fmt.Sprint(every), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				nodes, diaries, last := cutCluster(t, users.Options{EveryServer: every})
				var here, there []string
				for i := range 20 {
					nodes[i%2].Connect(t, "/", as(fmt.Sprint("here", i)))
					nodes[2].Connect(t, "/", as(fmt.Sprint("there", i)))
					here, there = append(here, fmt.Sprint("here", i)), append(there, fmt.Sprint("there", i))
				}
				settle()
				for _, d := range diaries {
					d.take()
				}
				last.cut.Store(true)
				time.Sleep(30 * time.Second)
				diaries[0].want(t, prefix("-", there)...)
				diaries[2].want(t, prefix("-", here)...)
				last.cut.Store(false)
				time.Sleep(10 * time.Second)
				diaries[0].want(t, prefix("+", there)...)
				diaries[2].want(t, prefix("+", here)...)
				for i, n := range nodes {
					if n.people.Len() != 40 {
						t.Errorf("server %d knows %d users", i, n.people.Len())
					}
				}
			})
		})
	}
}

func prefix(p string, ids []string) (all []string) {
	for _, id := range ids {
		all = append(all, p+id)
	}
	return all
}

// What was lost for a short time is noticed by the next heartbeat.
func TestLostMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		nodes, _, last := cutCluster(t, users.Options{})
		p := nodes[2].Connect(t, "/", as("ann"))
		settle()
		last.cut.Store(true)
		p.Disconnect()
		nodes[2].Connect(t, "/", as("bob"))
		nodes[0].Connect(t, "/", as("cid"))
		time.Sleep(grace + time.Second)
		last.cut.Store(false)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		for i, n := range nodes {
			if got := slices.Sorted(n.people.All()); !slices.Equal(got, []string{"bob", "cid"}) {
				t.Errorf("server %d knows %q", i, got)
			}
		}
	})
}

// While the adapter says that it does not work, silence means nothing.
func TestTheBrokerIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, d := adapter.NewMemory(), new(diary)
		sick := &reporting{cuttable: cuttable{Cluster: memory}}
		a, b := newServer(t, memory, d, users.Options{}, sio.Options{}), newServer(t, sick, d, users.Options{}, sio.Options{})
		settle()
		a.Connect(t, "/", as("ann"))
		settle()
		d.want(t, "+ann")
		sick.cut.Store(true)
		sick.since.Store(time.Now().UnixNano())
		time.Sleep(time.Minute)
		if !b.people.Online("ann") {
			t.Error("offline because the broker is gone")
		}
		sick.cut.Store(false)
		sick.since.Store(time.Now().UnixNano())
		time.Sleep(time.Minute)
		d.want(t)
	})
}

type reporting struct {
	cuttable

	since atomic.Int64
}

func (r *reporting) Join(namespace string, n adapter.Node) adapter.Adapter {
	return reportingAdapter{r.cuttable.Join(namespace, n), r}
}

type reportingAdapter struct {
	adapter.Adapter

	r *reporting
}

func (a reportingAdapter) Status() adapter.Status {
	return adapter.Status{Healthy: !a.r.cut.Load(), Since: time.Unix(0, a.r.since.Load())}
}

// A server whose adapter is not connected yet says nothing. After ten seconds, it makes its
// calls nevertheless. When the adapter works, others learn of its users.
func TestTheBrokerIsNotThereYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, d := adapter.NewMemory(), new(diary)
		late := &reporting{cuttable: cuttable{Cluster: memory}}
		late.cut.Store(true)
		a, b := newServer(t, memory, d, users.Options{}, sio.Options{}), newServer(t, late, d, users.Options{}, sio.Options{})
		settle()
		b.Connect(t, "/", as("ann"))
		time.Sleep(6 * time.Second)
		d.want(t)
		time.Sleep(2 * time.Second)
		d.want(t, "+ann")
		if a.people.Online("ann") {
			t.Error("another server has heard of the user")
		}
		late.cut.Store(false)
		late.since.Store(time.Now().UnixNano())
		settle()
		if calls := strings.Join(d.take(), " "); calls != "" && calls != "+ann" { // once more, as after a partition
			t.Errorf("calls %s", calls)
		}
		if !a.people.Online("ann") {
			t.Error("another server has not heard of the user")
		}
	})
}
