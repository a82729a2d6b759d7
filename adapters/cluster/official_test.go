package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/core/adapter"
)

// An official server is one of an official adapter: it sends no heartbeats, and does not
// know the types of this module.
type official struct {
	*hubBroker

	got     []*cluster.Packet
	respond func(p *cluster.Packet) []*cluster.Packet
}

func (o *official) Receive(p *cluster.Packet) {
	if p.From == o.self || p.Namespace == "" {
		return
	}
	o.got = append(o.got, p)
	if o.respond == nil || p.Type.IsResponse() {
		return
	}
	for _, r := range o.respond(p) {
		r.From, r.To, r.Namespace, r.RequestID = o.self, p.From, p.Namespace, p.RequestID
		go func() { _, _, _ = o.Publish(context.Background(), []*cluster.Packet{r}) }()
		synctest.Wait()
	}
}
func (*official) Refused(error)      {}
func (*official) Subscribed(string)  {}
func (*official) Disconnected(error) {}
func (*official) Connected(bool)     {}
func (*official) Missed(error)       {}
func (*official) Degraded(error)     {}

// addOfficial adds an official server to a hub.
func addOfficial(t *testing.T, h *hub, respond func(p *cluster.Packet) []*cluster.Packet) *official {
	t.Helper()
	b, _ := h.newBroker().(counting)
	o := &official{hubBroker: b.hubBroker, respond: respond}
	o.Start("0123456789abcdef", o)
	o.Subscribe("/")
	t.Cleanup(func() {
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	})
	return o
}

func ack(value string) *adapter.Reply {
	return &adapter.Reply{Ack: &adapter.Ack{Data: []byte(`[` + value + `]`)}}
}

// Requests wait for the answers of official servers, which are only counted (ECO-CL-5, -7,
// -8). An ack may come before the number of clients (CAP-F-10).
func TestOfficialServersAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind      adapter.Kind
		responses []*cluster.Packet
		want      []string
	}{
		{
			adapter.Fetch,
			[]*cluster.Packet{{Type: cluster.FetchSocketsResponse, Reply: &adapter.Reply{Sockets: []adapter.Socket{{ID: "x"}, {ID: "y"}}}}},
			[]string{"sockets [x y]"},
		},
		{
			adapter.Count,
			[]*cluster.Packet{{Type: cluster.FetchSocketsResponse, Reply: &adapter.Reply{Sockets: []adapter.Socket{{ID: "x"}, {ID: "y"}}}}},
			[]string{"2 clients"},
		},
		{adapter.ServerEvent, []*cluster.Packet{{Type: cluster.ServerSideEmitResponse, Reply: ack("1")}}, []string{"ack [1]"}},
		{
			adapter.Broadcast,
			[]*cluster.Packet{
				{Type: cluster.BroadcastAck, Reply: ack("1")},
				{Type: cluster.BroadcastClientCount, Clients: 2},
				{Type: cluster.BroadcastAck, Reply: ack("2")},
			},
			[]string{"ack [1]", "expected 2", "ack [2]"},
		},
		{adapter.Broadcast, []*cluster.Packet{{Type: cluster.BroadcastClientCount, Clients: 0}}, []string{"expected 0"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub()
			n := join(t, h, cluster.Options{})
			addOfficial(t, h, func(p *cluster.Packet) []*cluster.Packet {
				if p.RequestID == "" || p.Type == cluster.Cancel {
					return nil
				}
				return tt.responses
			})
			synctest.Wait()
			var got []string
			err := n.Ask(t.Context(), &adapter.Message{Kind: tt.kind, Data: []byte(`["e"]`)}, func(r *adapter.Reply) {
				got = append(got, inWords(tt.kind, r))
				if r.Server != "0123456789abcdef" {
					t.Errorf("answer of %q", r.Server)
				}
			})
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("kind %d: %q, %v", tt.kind, got, err)
			}
		})
	}
}

func inWords(k adapter.Kind, r *adapter.Reply) string {
	switch {
	case r.Ack != nil:
		return "ack " + string(r.Ack.Data)
	case k == adapter.Count:
		return fmt.Sprint(r.Clients, " clients")
	case r.Sockets != nil:
		var ids []string
		for _, s := range r.Sockets {
			ids = append(ids, s.ID)
		}
		return fmt.Sprint("sockets ", ids)
	default:
		return fmt.Sprint("expected ", len(r.Expected))
	}
}

// An official server that does not answer is missing, and counted.
func TestOfficialServersThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := three(t, h, cluster.Options{})
		addOfficial(t, h, nil)
		synctest.Wait()
		start := time.Now()
		clients, err := n[0].ask(t.Context())
		var missing *adapter.MissingError
		if clients != 2 || !errors.As(err, &missing) || missing.Unknown != 1 || len(missing.Servers) != 0 {
			t.Errorf("%d clients, %v", clients, err)
		}
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("waited for %v", d)
		}
	})
}

// Nobody waits for an official server that has gone, once the broker knows.
func TestOfficialServersThatGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := three(t, h, cluster.Options{})
		o := addOfficial(t, h, nil)
		synctest.Wait()
		go func() {
			time.Sleep(1500 * time.Millisecond)
			o.Unsubscribe("/")
		}()
		start := time.Now()
		clients, err := n[0].ask(t.Context())
		if clients != 2 || err != nil || time.Since(start) > 3*time.Second {
			t.Errorf("%d clients after %v, %v", clients, time.Since(start), err)
		}
	})
}

// Official servers get the responses that they know.
func TestOfficialServersAsk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		t       cluster.Type
		kind    adapter.Kind
		replies []*adapter.Reply
		want    []string
	}{
		{cluster.FetchSockets, adapter.Fetch, []*adapter.Reply{{Sockets: []adapter.Socket{{ID: "x"}}}}, []string{"8 sockets [x]"}},
		{cluster.ServerSideEmit, adapter.ServerEvent, []*adapter.Reply{ack("1")}, []string{"10 ack [1]"}},
		{cluster.ServerSideEmit, adapter.ServerEvent, nil, nil},
		{cluster.ServerSideEmit, adapter.ServerEvent, []*adapter.Reply{{Ack: &adapter.Ack{Error: "no"}}}, nil},
		{
			cluster.Broadcast, adapter.Broadcast,
			[]*adapter.Reply{{Expected: []string{"a", "b", "c"}}, ack("1"), {Ack: &adapter.Ack{Gone: true}}, ack("2")},
			[]string{"11 clients 3", "12 ack [1]", "12 ack [2]"},
		},
		{cluster.Broadcast, adapter.Broadcast, nil, []string{"11 clients 0"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub()
			n := join(t, h, cluster.Options{})
			n.answer = func(_ context.Context, m *adapter.Message, reply func(*adapter.Reply)) {
				if m.Kind != tt.kind {
					t.Errorf("asked for %d", m.Kind)
				}
				for _, r := range tt.replies {
					reply(r)
				}
			}
			o := addOfficial(t, h, nil)
			synctest.Wait()
			request := &cluster.Packet{
				Type: tt.t, From: o.self, Namespace: "/", RequestID: "0011223344556677",
				Message: &adapter.Message{Kind: tt.kind, Data: []byte(`["e"]`)},
			}
			if _, _, err := o.Publish(t.Context(), []*cluster.Packet{request}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			var got []string
			for _, p := range o.got {
				if p.RequestID != request.RequestID || p.To != o.self {
					t.Errorf("got %+v", p)
				}
				words := fmt.Sprint(p.Type, " clients ", p.Clients)
				if p.Reply != nil {
					words = fmt.Sprint(p.Type, " ", inWords(tt.kind, p.Reply))
				}
				got = append(got, words)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("type %d: got %q, want %q", tt.t, got, tt.want)
			}
		})
	}
}

// An answer that nobody waits for any longer ends.
func TestAnswersEndWithTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		n := three(t, h, cluster.Options{})
		ended := make(chan int, 4)
		for i, o := range n[1:] {
			o.answer = func(ctx context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
				reply(&adapter.Reply{Expected: []string{"never"}})
				<-ctx.Done()
				ended <- i
			}
		}
		m := &adapter.Message{Kind: adapter.Broadcast, Data: []byte(`["e"]`)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n[0].Ask(ctx, m, func(*adapter.Reply) {}) }()
		time.Sleep(time.Minute) // without a deadline it waits as long as the clients are there
		cancel()
		var missing *adapter.MissingError
		if err := <-done; !errors.Is(err, context.Canceled) || !errors.As(err, &missing) || len(missing.Servers) != 2 {
			t.Errorf("%v", err)
		}
		<-ended
		<-ended

		go func() { done <- n[0].Ask(t.Context(), m, func(*adapter.Reply) {}) }()
		synctest.Wait()
		h.cutOff(n[0].cluster.Status().Server, true) // who asks is struck off
		<-ended
		<-ended
		h.cutOff(n[0].cluster.Status().Server, false)
		if err := n[0].Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, adapter.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}
