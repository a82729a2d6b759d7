package cluster_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// idle is a node that does nothing.
type idle struct{}

func (idle) Receive(*adapter.Message)                                             {}
func (idle) Answer(context.Context, *adapter.Message, func(reply *adapter.Reply)) {}

// announce makes a server that can be reached at an address.
func announce(t *testing.T, h *hub, address string) *cluster.Cluster {
	t.Helper()
	c := h.cluster(cluster.Options{})
	if address != "" {
		c.Announce(address)
	}
	a := c.Join("/", idle{})
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func isGone(e cluster.Location) bool {
	select {
	case <-e.Gone:
		return true
	default:
		return false
	}
}

func TestLocations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		a, b := announce(t, h, "a.example:7400"), announce(t, h, "[::1]:7400")
		c := announce(t, h, "") // is not reached, and reaches others
		synctest.Wait()
		for _, from := range []*cluster.Cluster{a, c} {
			e, found := from.Locate(b.Prefix())
			if !found || e.Address != "[::1]:7400" || e.Server != b.ServerID() || isGone(e) {
				t.Errorf("%+v, %v", e, found)
			}
		}
		for name, prefix := range map[string]string{"none announced": c.Prefix(), "its own": a.Prefix(), "none": "", "another": "xxxx"} {
			if e, found := a.Locate(prefix); found {
				t.Errorf("%s: %+v", name, e)
			}
		}
		e, _ := a.Locate(b.Prefix())
		h.kill(b.ServerID())
		time.Sleep(30 * time.Second)
		if _, found := a.Locate(b.Prefix()); found || !isGone(e) {
			t.Errorf("a server that has gone: %v, %v", found, isGone(e))
		}
	})
}

// A server that leaves is gone at once.
func TestLocationOfAServerThatLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		a := announce(t, h, "a:1")
		b := h.cluster(cluster.Options{})
		b.Announce("b:1")
		left := b.Join("/", idle{})
		synctest.Wait()
		e, found := a.Locate(b.Prefix())
		if !found {
			t.Fatal("not found")
		}
		if err := left.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, found := a.Locate(b.Prefix()); found || !isGone(e) {
			t.Errorf("%v, %v", found, isGone(e))
		}
		if id := b.ServerID(); id != "" {
			t.Errorf("its id is %q", id)
		}
	})
}

// Two servers that have the same prefix notice it: the one with the higher id takes another.
func TestThePrefixIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		a, b := announce(t, h, "a:1"), announce(t, h, "b:1")
		synctest.Wait()
		before := a.Prefix()
		say := func(from string) {
			h.end(b.ServerID()).in.Receive(&cluster.Packet{Type: cluster.Heartbeat, From: from, Presence: &cluster.Presence{
				All: true, Namespaces: []string{"/"}, Address: from + ":1", Prefix: before,
			}})
			h.end(a.ServerID()).in.Receive(&cluster.Packet{Type: cluster.Heartbeat, From: from, Presence: &cluster.Presence{
				All: true, Namespaces: []string{"/"}, Address: from + ":1", Prefix: before,
			}})
		}
		const high, low = "gozzzzzzzzzzzzzz", "go00000000000000"
		say(high)
		synctest.Wait()
		if e, _ := b.Locate(before); a.Prefix() != before || e.Server != a.ServerID() {
			t.Errorf("the one with the lower id has lost its prefix: %+v", e)
		}
		say(low)
		synctest.Wait()
		after := a.Prefix()
		if after == before {
			t.Error("both have the same prefix")
		}
		if e, _ := b.Locate(before); e.Server != low {
			t.Errorf("%+v", e)
		}
		if e, _ := b.Locate(after); e.Server != a.ServerID() {
			t.Errorf("%+v: the new prefix is not known", e)
		}
		e, _ := b.Locate(before)
		for _, s := range []*cluster.Cluster{a, b} {
			h.end(s.ServerID()).in.Receive(&cluster.Packet{Type: cluster.AdapterClose, From: low})
		}
		if next, _ := b.Locate(before); next.Server != high || !isGone(e) || isGone(next) {
			t.Errorf("%+v", next)
		}
	})
}

// What others say about themselves is checked.
func TestLocationsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		a := announce(t, h, "a:1")
		synctest.Wait()
		const id = "go00000000000000"
		say := func(prefix, address string) {
			h.end(a.ServerID()).in.Receive(&cluster.Packet{Type: cluster.Heartbeat, From: id, Presence: &cluster.Presence{
				All: true, Namespaces: []string{"/"}, Address: address, Prefix: prefix,
			}})
		}
		for _, wrong := range [][2]string{
			{"abc", "b:1"},
			{"abcde", "b:1"},
			{"abc+", "b:1"},
			{"", "b:1"},
			{"abcd", "b"},
			{"abcd", ":1"},
			{"abcd", "b:"},
			{"abcd", strings.Repeat("b", 300) + ":1"},
			{"ab\x00d", "b:1"},
			{"abc\n", "b:1"},
		} {
			say("good", "b:1")
			e, found := a.Locate("good")
			if !found {
				t.Fatal("not found")
			}
			say(wrong[0], wrong[1])
			if _, found := a.Locate(wrong[0]); found {
				t.Errorf("%q is accepted", wrong)
			}
			if _, found := a.Locate("good"); found || !isGone(e) {
				t.Errorf("after %q the former location is still there", wrong)
			}
		}
		say("good", "b:1")
		say("good", "b:2")
		if e, _ := a.Locate("good"); e.Address != "b:2" || isGone(e) {
			t.Errorf("%+v", e)
		}
	})
}

func TestAnnounceWithoutAPort(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	newHub().cluster(cluster.Options{}).Announce("10.0.0.7")
}
