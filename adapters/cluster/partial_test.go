package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// An answer of which the queue did not take all parts is not complete.
func TestAnswersThatDoNotFitAreMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		asks, answers := join(t, h, cluster.Options{}), join(t, h, cluster.Options{MaxQueueBytes: 3 << 20})
		answers.answer = func(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
			sockets := make([]adapter.Socket, 6)
			for i := range sockets {
				sockets[i].Data = make([]byte, 1<<20)
			}
			h.do(func() { reply(&adapter.Reply{Sockets: sockets}) }) // the broker takes nothing meanwhile
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		got := 0
		err := asks.Ask(t.Context(), &adapter.Message{Kind: adapter.Fetch}, func(r *adapter.Reply) { got += len(r.Sockets) })
		missing, ok := errors.AsType[*adapter.MissingError](err)
		if !ok || len(missing.Servers) != 1 {
			t.Errorf("%d of 6 sockets, error %v, want a MissingError with the server", got, err)
		}
		if lost := answers.cluster.Status().Lost; lost == 0 || got == 6 {
			t.Errorf("%d of 6 sockets, %d lost", got, lost)
		}
	})
}

// Nor is one of which a part was lost on its way, after the queue had taken it.
func TestAnswersOfWhichAPartWasLostAreMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.encode = func(p *cluster.Packet) ([]byte, error) {
			if p.Type == cluster.Answer && !p.Done {
				return nil, errors.New("refused")
			}
			return cluster.AppendJSON(nil, p)
		}
		asks, answers := join(t, h, cluster.Options{}), join(t, h, cluster.Options{})
		answers.answer = func(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
			reply(&adapter.Reply{Clients: 1})
			reply(&adapter.Reply{Clients: 2})
		}
		synctest.Wait()
		clients, err := asks.ask(t.Context())
		missing, ok := errors.AsType[*adapter.MissingError](err)
		if !ok || len(missing.Servers) != 1 || clients != 2 {
			t.Errorf("%d clients, error %v, want a MissingError with the server", clients, err)
		}
	})
}

// A handler may answer later than RequestsTimeout if the one that asks waits for longer.
func TestAnswersMayTakeAsLongAsTheOneThatAsksWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.encode = func(p *cluster.Packet) ([]byte, error) { return cluster.AppendJSON(nil, p) }
		asks, answers := join(t, h, cluster.Options{}), join(t, h, cluster.Options{})
		answers.answer = func(ctx context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
			select {
			case <-time.After(8 * time.Second):
				reply(&adapter.Reply{Ack: &adapter.Ack{Data: []byte(`["late"]`)}})
			case <-ctx.Done():
			}
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		got := 0
		m := &adapter.Message{Kind: adapter.ServerEvent, Data: []byte(`["job"]`)}
		if err := asks.Ask(ctx, m, func(*adapter.Reply) { got++ }); err != nil || got != 1 {
			t.Errorf("%d answers, error %v", got, err)
		}
	})
}

// The broker does not count a server before its subscription. Then the others are not one
// fewer.
func TestRequestsBeforeTheOwnSubscriptionWaitForOfficialServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		addOfficial(t, h, nil)
		h.deaf = true
		asks := join(t, h, cluster.Options{})
		_, err := asks.ask(t.Context())
		if missing, ok := errors.AsType[*adapter.MissingError](err); !ok || missing.Unknown != 1 {
			t.Errorf("error %v, want a MissingError for one server", err)
		}
	})
}

// answerSockets answers with that many sockets at once.
func answerSockets(n int) func(context.Context, *adapter.Message, func(*adapter.Reply)) {
	return func(_ context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
		sockets := make([]adapter.Socket, n)
		for i := range sockets {
			sockets[i] = adapter.Socket{ID: "id", Rooms: []string{strings.Repeat("\x01", 100)}, Data: []byte("{}"), Handshake: []byte("{}")}
		}
		reply(&adapter.Reply{Sockets: sockets})
	}
}
