package siotest_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// TestCluster runs the suite with a cluster that makes a mistake if that is wanted.
func TestCluster(t *testing.T) {
	siotest.TestCluster(t, func(_ *testing.T, n int) []adapter.Cluster {
		return slices.Repeat([]adapter.Cluster{faulty{adapter.NewMemory(), mistake()}}, n)
	})
}

func TestMistakesOfClustersAreFound(t *testing.T) {
	t.Parallel()
	mustBeFound(t, map[string]string{
		"hears itself":        "TestCluster/messages",
		"changes messages":    "TestCluster/messages",
		"forgets attachments": "TestCluster/messages",
		"forgets flags":       "TestCluster/messages",
		"delivers twice":      "TestCluster/messages",
		"changes the order":   "TestCluster/order",
		"mixes namespaces":    "TestCluster/namespaces_apart",
		"does not ask":        "TestCluster/answers",
		"loses a reply":       "TestCluster/answers",
		"replies late":        "TestCluster/answers_in_part",
		"asks too early":      "TestCluster/order_of_requests",
		"replies in parallel": "TestCluster/one_reply_at_a_time",
		"waits for all":       "TestCluster/members_that_leave",
		"goes on when closed": "TestCluster/close",
		"has no errors":       "TestCluster/close",
		"does not wait":       "TestCluster/close_waits",
		"forgets targets":     "TestCluster/servers:_broadcasts",
		"forgets counts":      "TestCluster/servers:_count",
		"counts all":          "TestCluster/servers:_count",
		"misses nobody":       "TestCluster/missing_members",
		"misses all":          "TestCluster/missing_members",
		"rounds numbers":      "TestCluster/servers:_exact_values",
		"rounds answers":      "TestCluster/servers:_exact_values",
	})
}

// A faulty cluster is one that makes a mistake.
type faulty struct {
	adapter.Cluster

	mistake string
}

func (f faulty) Join(namespace string, node adapter.Node) adapter.Adapter {
	if f.mistake == "mixes namespaces" {
		namespace = "/"
	}
	return &faultyAdapter{mistake: f.mistake, node: node, Adapter: f.Cluster.Join(namespace, faultyNode{node, f.mistake})}
}

type faultyNode struct {
	adapter.Node

	mistake string
}

func (n faultyNode) Receive(m *adapter.Message) {
	n.Node.Receive(m)
	if n.mistake == "delivers twice" {
		n.Node.Receive(m)
	}
}

type faultyAdapter struct {
	adapter.Adapter

	mistake string
	node    adapter.Node

	later   sync.WaitGroup
	mu      sync.Mutex
	delayed *adapter.Message
}

func (a *faultyAdapter) Publish(m *adapter.Message) error {
	c := *m
	switch a.mistake {
	case "hears itself":
		a.node.Receive(m)
	case "forgets attachments":
		c.Attachments = nil
	case "forgets flags":
		c.Volatile = false
	case "forgets targets":
		c.Target.Except = nil
	case "rounds numbers":
		c.Data = rounded(c.Data)
	case "changes messages":
		m.Rooms = append(m.Rooms, "x")
	case "changes the order":
		return a.swap(&c)
	case "asks too early":
		if strings.HasPrefix(string(c.Data), `["e"`) {
			return nil // Ask does it, in the end
		}
	case "has no errors":
		_ = a.Adapter.Publish(&c)
		return nil
	}
	return a.Adapter.Publish(&c)
}

// swap holds back every tenth message until the next one has been published.
func (a *faultyAdapter) swap(m *adapter.Message) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if strings.HasSuffix(string(m.Data), "8]") {
		a.delayed = m
		return nil
	}
	err := a.Adapter.Publish(m)
	if a.delayed != nil {
		err = errors.Join(err, a.Adapter.Publish(a.delayed))
		a.delayed = nil
	}
	return err
}

// rounded is JSON as those write it who read its numbers as float64.
func rounded(data []byte) []byte {
	var v any
	if json.Unmarshal(data, &v) != nil {
		return data
	}
	text, _ := json.Marshal(v)
	return text
}

func (a *faultyAdapter) Ask(ctx context.Context, m *adapter.Message, reply func(*adapter.Reply)) error {
	switch a.mistake {
	case "does not ask":
		return nil
	case "loses a reply":
		var replies []*adapter.Reply
		err := a.Adapter.Ask(ctx, m, func(r *adapter.Reply) { replies = append(replies, r) })
		for i, r := range replies {
			if i > 0 {
				reply(r)
			}
		}
		return err
	case "replies late":
		err := a.Adapter.Ask(ctx, m, reply)
		if err != nil {
			reply(&adapter.Reply{Ack: &adapter.Ack{}})
		}
		return err
	case "asks too early":
		return errors.Join(a.Adapter.Ask(ctx, m, reply), a.Adapter.Publish(m))
	case "replies in parallel":
		var all sync.WaitGroup
		defer all.Wait()
		return a.Adapter.Ask(ctx, m, func(r *adapter.Reply) { all.Go(func() { reply(r) }) })
	case "forgets counts":
		return a.Adapter.Ask(ctx, m, func(r *adapter.Reply) {
			c := *r
			c.Clients = 0
			reply(&c)
		})
	case "counts all":
		c := *m
		c.Target = adapter.Target{}
		return a.Adapter.Ask(ctx, &c, reply)
	case "misses nobody", "misses all":
		err := a.Adapter.Ask(ctx, m, reply)
		if err == nil || ctx.Err() == nil {
			return err
		}
		if a.mistake == "misses nobody" {
			return ctx.Err()
		}
		return &adapter.MissingError{Unknown: 2, Err: ctx.Err()}
	case "rounds answers":
		return a.Adapter.Ask(ctx, m, func(r *adapter.Reply) {
			if r.Ack != nil {
				ack := *r.Ack
				ack.Data = rounded(ack.Data)
				r = &adapter.Reply{Server: r.Server, Ack: &ack}
			}
			reply(r)
		})
	case "waits for all":
		err := a.Adapter.Ask(ctx, m, reply)
		if m.Kind == adapter.ServerEvent && string(m.Data) == `["ask"]` {
			err = context.DeadlineExceeded // which is what it would come to
		}
		return err
	}
	return a.Adapter.Ask(ctx, m, reply)
}

func (a *faultyAdapter) Close() error {
	switch a.mistake {
	case "goes on when closed":
		return nil
	case "does not wait":
		a.later.Go(func() { _ = a.Adapter.Close() })
		return nil
	}
	a.later.Wait()
	return a.Adapter.Close()
}
