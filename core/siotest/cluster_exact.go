package siotest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// missing: when the context ends, the error says that a member is missing, and its name if
// the adapter knows it. An answer that comes after that is not passed on.
func (s clusterSuite) missing(t *testing.T) {
	m := s.members(t, 3, func(i int, m *member) {
		m.answer = func(ctx context.Context, _ *adapter.Message, reply func(*adapter.Reply)) {
			if i == 2 {
				<-ctx.Done()
				reply(&adapter.Reply{Clients: 8})
				return
			}
			reply(&adapter.Reply{Clients: 7})
		}
	})
	for patience := 10 * time.Millisecond; ; patience *= 4 {
		replies, err := m[0].askUntil(t, patience, &adapter.Message{Kind: adapter.Count})
		if len(replies) != 1 || replies[0].Clients != 7 {
			t.Fatalf("%d replies, want that of the member that answers", len(replies))
		}
		missing, ok := errors.AsType[*adapter.MissingError](err)
		if !ok || !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want a MissingError that matches the error of the context", err)
		}
		n := len(missing.Servers) + missing.Unknown
		if n == 1 {
			return
		}
		if n == 0 || patience > 2*time.Second {
			t.Fatalf("%v, want one that misses one server", err)
		}
		// The end of the other answer has not arrived in that time.
	}
}

// askUntil asks until some time after the first reply.
func (m *member) askUntil(t *testing.T, d time.Duration, msg *adapter.Message) (replies []*adapter.Reply, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err = m.Ask(ctx, msg, func(r *adapter.Reply) {
		replies = append(replies, r)
		time.AfterFunc(d, cancel)
	})
	return replies, err
}

// count: a server counts the clients of all servers.
func (s clusterSuite) count(t *testing.T) {
	p := s.startServers(t, 3, "0a", "1ab", "2b", "2bc")
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	for server := range p.servers {
		on := p.on(server)
		for _, tt := range []struct {
			what string
			set  sio.Broadcast
			want int
		}{
			{"all", on.Broadcast(), 4},
			{"a room", on.To("b"), 3},
			{"two rooms", on.To("a", "c"), 3},
			{"a room but another one", on.To("b").Except("a"), 2},
			{"one client", on.To(p.clients["1ab"].ID()), 1},
			{"nobody", on.To("nobody"), 0},
			{"local", on.Broadcast().Local(), []int{1, 1, 2}[server]},
		} {
			n, err := tt.set.Count(ctx)
			if err != nil || n != tt.want {
				t.Errorf("server %d, %s: %d clients, want %d (%v)", server, tt.what, n, tt.want, err)
			}
			there, err := tt.set.Exists(ctx)
			if err != nil || there != (tt.want > 0) {
				t.Errorf("server %d, %s: exists %t (%v)", server, tt.what, there, err)
			}
		}
	}
}

// An exact value has what is easily rounded or changed.
type exact struct {
	Small int64          `json:"small"`
	Large uint64         `json:"large"`
	Time  time.Time      `json:"time"`
	Blob  []byte         `json:"blob"`
	Text  string         `json:"text"`
	Deep  map[string]any `json:"deep"`
}

// exactDeep is the field Deep, decoded.
type exactDeep struct {
	List []struct {
		Blob []byte `json:"blob"`
		N    int64  `json:"n"`
	} `json:"list"`
}

const beyondDoubles = 1<<53 + 1 // a float64 cannot hold it

func exactValue() exact {
	return exact{
		Small: math.MinInt64, Large: math.MaxUint64,
		Time: time.Date(2026, 2, 28, 23, 59, 59, 123456789, time.FixedZone("", 19800)), //nolint:mnd // half an hour
		Blob: []byte{0, 0xff, '"'}, Text: "é\u0000\u2028😀\\_placeholder",
		Deep: map[string]any{"list": []any{map[string]any{"blob": []byte("deep"), "n": int64(beyondDoubles)}}},
	}
}

// mustBeExact fails unless args are the exact value and a number.
func mustBeExact(t *testing.T, what string, args sio.Args) {
	t.Helper()
	var got exact
	var deep struct {
		Deep exactDeep `json:"deep"`
	}
	var n uint64
	if err := errors.Join(args.Bind(&got, &n), args.Bind(&deep)); err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	want := exactValue()
	if got.Small != want.Small || got.Large != want.Large || !got.Time.Equal(want.Time) || got.Text != want.Text ||
		!bytes.Equal(got.Blob, want.Blob) || n != beyondDoubles {
		t.Errorf("%s: got %+v and %d, want %+v and %d", what, got, n, want, beyondDoubles)
	}
	if l := deep.Deep.List; len(l) != 1 || string(l[0].Blob) != "deep" || l[0].N != beyondDoubles {
		t.Errorf("%s: got %+v in depth", what, l)
	}
}

// exactValues: what servers send each other arrives as it was.
func (s clusterSuite) exactValues(t *testing.T) {
	p := s.startServers(t, 2, "0a", "1a")
	heard := make(chan sio.Args, 1)
	p.on(1).OnServerEvent("tell", func(_ context.Context, args sio.Args) (any, error) {
		heard <- args
		return exactValue(), nil
	})
	must(t, p.on(0).ServerSideEmit("tell", exactValue(), uint64(beyondDoubles)))
	mustBeExact(t, "a server-side event", await(t, "an event", heard))

	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	for a := range sio.ServerSideEmitWithAck[exact](ctx, p.on(0), "tell", exactValue(), uint64(beyondDoubles)) {
		want := exactValue()
		if a.Err != nil || a.Value.Small != want.Small || a.Value.Large != want.Large || !a.Value.Time.Equal(want.Time) {
			t.Errorf("the answer to a server-side event: %+v", a)
		}
	}
	mustBeExact(t, "a server-side event that is answered", await(t, "an event", heard))

	must(t, p.on(0).To("a").Emit("e", exactValue(), uint64(beyondDoubles)))
	for name, client := range p.clients {
		var got exact
		var n uint64
		client.Expect("e", &got, &n)
		if want := exactValue(); got.Small != want.Small || got.Large != want.Large || got.Text != want.Text ||
			!bytes.Equal(got.Blob, want.Blob) || n != beyondDoubles {
			t.Errorf("%s got %+v and %d", name, got, n)
		}
		client.AutoAck("ask", uint64(beyondDoubles), []byte{1})
	}
	for a := range sio.BroadcastWithAck[sio.Args](ctx, p.on(0).To("a"), "ask") {
		var n uint64
		var blob []byte
		if err := errors.Join(a.Err, a.Value.Bind(&n, &blob)); err != nil || n != beyondDoubles || len(blob) != 1 {
			t.Errorf("an ack: %d, %v (%v)", n, blob, err)
		}
	}
}
