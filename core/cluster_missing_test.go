package sio_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// A silentNode is a server of the cluster that hangs: it never answers.
type silentNode struct{}

func (silentNode) Receive(*adapter.Message) {}

func (silentNode) Answer(ctx context.Context, _ *adapter.Message, _ func(*adapter.Reply)) {
	<-ctx.Done()
}

// hang adds a server that never answers, and returns its name.
func (fl *fleet) hang(t *testing.T, namespace string) (name string) {
	t.Helper()
	m := fl.cluster.Join(namespace, silentNode{})
	t.Cleanup(func() { must(t, m.Close()) })
	return m.(adapter.Reporter).Status().Server //nolint:errcheck // that of Memory is one
}

// mustMiss fails unless the error says that these servers are missing, and that the
// deadline is over.
func mustMiss(t *testing.T, what string, err error, names ...string) {
	t.Helper()
	slices.Sort(names)
	missing, ok := errors.AsType[*adapter.MissingError](err)
	if !ok || !slices.Equal(missing.Servers, names) || missing.Unknown != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: error %v, want one that misses %q", what, err, names)
	}
}

func errorsOf[T any](acks iter.Seq[sio.Ack[T]]) (values int, errs []error) {
	for a := range acks {
		if a.Err == nil {
			values++
		} else {
			errs = append(errs, a.Err)
		}
	}
	return values, errs
}

// CF-6: what has come is kept, and the error says who is missing.
func TestCF_6_PartOfTheAnswersAndWhoIsMissing(t *testing.T) {
	cluster(t, 3, sio.Options{}, func(t *testing.T, fl *fleet) {
		fl.servers[1].OnServerEvent("ask", func(context.Context, sio.Args) (any, error) { return 1, nil })
		fl.servers[2].OnServerEvent("ask", func(context.Context, sio.Args) (any, error) { return 2, nil })
		hung := []string{fl.hang(t, "/"), fl.hang(t, "/")}
		all := fl.servers[0].Broadcast()
		within := func(f func(ctx context.Context)) {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if f(ctx); time.Since(start) != time.Second {
				t.Errorf("it took %v", time.Since(start))
			}
		}
		within(func(ctx context.Context) {
			found, err := all.Fetch(ctx)
			if mustMiss(t, "Fetch", err, hung...); len(found) != 3 {
				t.Errorf("%d sockets", len(found))
			}
		})
		within(func(ctx context.Context) {
			count, err := all.Count(ctx)
			if mustMiss(t, "Count", err, hung...); count != 3 {
				t.Errorf("count %d", count)
			}
		})
		within(func(ctx context.Context) {
			there, err := fl.servers[0].To("nowhere").Exists(ctx)
			if mustMiss(t, "Exists", err, hung...); there {
				t.Error("somebody is nowhere")
			}
		})
		within(func(ctx context.Context) {
			got, errs := errorsOf(sio.ServerSideEmitWithAck[int](ctx, fl.servers[0].Namespace, "ask"))
			if got != 2 || len(errs) != 1 {
				t.Fatalf("%d answers, errors %v", got, errs)
			}
			mustMiss(t, "ServerSideEmitWithAck", errs[0], hung...)
		})
		within(func(ctx context.Context) { // nobody has this room: only the silent servers are missing
			got, errs := errorsOf(sio.BroadcastWithAck[int](ctx, fl.servers[0].To("nowhere"), "q"))
			if got != 0 || len(errs) != 1 {
				t.Fatalf("%d answers, errors %v", got, errs)
			}
			mustMiss(t, "BroadcastWithAck", errs[0], hung...)
		})
	})
}

// A client that does not acknowledge makes its server one of those that are missing, and
// stands for it. Servers that have not even said whom they asked have an element as well.
func TestCF_6_MissingAcksAndMissingServers(t *testing.T) {
	cluster(t, 2, sio.Options{}, func(t *testing.T, fl *fleet) {
		ask := func() (got []string) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			for a := range sio.BroadcastWithAck[int](ctx, fl.servers[0].To(fl.ids[1]), "q") {
				missing, _ := errors.AsType[*adapter.MissingError](a.Err)
				got = append(got, fmt.Sprintf("%t %d", a.Socket == fl.ids[1], len(missing.Servers)))
			}
			fl.clients[1].Next()
			slices.Sort(got)
			return got
		}
		if got := ask(); !slices.Equal(got, []string{"true 1"}) {
			t.Errorf("got %q", got)
		}
		fl.hang(t, "/")
		if got := ask(); !slices.Equal(got, []string{"false 2", "true 2"}) {
			t.Errorf("with a server that hangs: got %q", got)
		}
	})
}

// Exists does not wait for servers that hang if another one has a client.
func TestExistsReturnsWithTheFirstAnswer(t *testing.T) {
	cluster(t, 3, sio.Options{}, func(t *testing.T, fl *fleet) {
		fl.hang(t, "/")
		start := time.Now()
		for i, id := range fl.ids {
			there, err := fl.servers[0].To(id).Exists(t.Context())
			if !there || err != nil || time.Since(start) != 0 {
				t.Errorf("client %d: %v, %v after %v", i, there, err, time.Since(start))
			}
		}
		there, err := fl.servers[0].To(fl.ids[1]).Local().Exists(t.Context())
		if there || err != nil {
			t.Errorf("local: %v, %v", there, err)
		}
	})
}

// A parent asks for all of its children, and misses a server once.
func TestCountOfAParent(t *testing.T) {
	cluster(t, 2, sio.Options{}, func(t *testing.T, fl *fleet) {
		var parents []*sio.Namespace
		for i, srv := range fl.servers {
			parents = append(parents, srv.OfFunc(func(string, *sio.Handshake) bool { return true }))
			fl.clients[i].Connect("/a", "")
			fl.clients[i].Connect("/b", "")
		}
		if n, err := parents[0].Broadcast().Count(t.Context()); n != 4 || err != nil {
			t.Errorf("count %d, %v", n, err)
		}
		if there, err := parents[0].To("room").Exists(t.Context()); there || err != nil {
			t.Errorf("exists: %t, %v", there, err)
		}
		hung := []string{fl.hang(t, "/a"), fl.hang(t, "/b")}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n, err := parents[0].Broadcast().Count(ctx)
		if mustMiss(t, "Count", err, hung...); n != 4 {
			t.Errorf("count %d", n)
		}
	})
}

// CF-5: a local broadcast asks only here.
func TestCF_5_LocalBroadcastsWithAckAskOnlyHere(t *testing.T) {
	cluster(t, 2, sio.Options{}, func(t *testing.T, fl *fleet) {
		fl.hang(t, "/")
		go func() { quiz(t, fl.clients[0], `["q"]`)("[7]") }()
		start := time.Now()
		var got []string
		for a := range sio.BroadcastWithAck[int](t.Context(), fl.servers[0].Broadcast().Local(), "q") {
			got = append(got, fmt.Sprint(a.Value, a.Err))
		}
		if !slices.Equal(got, []string{"7 <nil>"}) || time.Since(start) != 0 {
			t.Errorf("got %q after %v", got, time.Since(start))
		}
		mustEcho(t, fl.clients[1])
	})
}

// Other servers would get another name, so nobody gets anything.
func TestRoomsThatOtherServersCannotBeToldOf(t *testing.T) {
	cluster(t, 2, sio.Options{}, func(t *testing.T, fl *fleet) {
		srv := fl.servers[0]
		const name = "a\xff"
		set := srv.To(fl.ids[0], name)
		_, errFetch := set.Fetch(t.Context())
		_, errCount := set.Count(t.Context())
		there, errExists := srv.To(name).Exists(t.Context())
		_, errs := errorsOf(sio.BroadcastWithAck[int](t.Context(), set, "q"))
		for what, err := range map[string]error{
			"Emit": set.Emit("e"), "Except": srv.Except(name).Emit("e"), "Join": srv.To(fl.ids[0]).Join(name),
			"Leave": srv.To(fl.ids[0]).Leave(name), "Disconnect": set.Disconnect(),
			"Fetch": errFetch, "Count": errCount, "Exists": errExists, "BroadcastWithAck": errors.Join(errs...),
		} {
			if err == nil || there {
				t.Errorf("%s: no error", what)
			}
		}
		must(t, set.Local().Emit("here"))
		fl.want(t, `42["here"]`, 0)
	})
}
