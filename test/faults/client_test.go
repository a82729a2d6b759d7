package faults_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/require"
	"github.com/sioplug/sioplug/test/network"
)

// ways are how clients connect.
func ways() map[string][]string {
	return map[string][]string{
		"polling":   {sioclient.Polling},
		"websocket": {sioclient.WebSocket},
		"upgrade":   {sioclient.Polling, sioclient.WebSocket},
	}
}

// One of a client's connections breaks after some number of bytes, in each direction, while
// it is sent numbers and sends some with Retries. The server gets all of them, in order.
// The client gets its numbers in order and never twice. If its session was recovered each
// time, it gets all of them.
func TestClientWhoseConnectionIsCut(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{
			ConnectionStateRecovery: &sio.Recovery{}, PingInterval: 300 * time.Millisecond, PingTimeout: 2500 * time.Millisecond,
		}, chatty)
		for way, transports := range ways() {
			for n := int64(7); n < 5000; n += n/pick[int64](2, 12) + 13 {
				for d, name := range map[network.Direction]string{network.Up: "up", network.Down: "down"} {
					s.oneClient(transports, fmt.Sprint(way, " ", name, " ", n), func() { s.proxy.CutAfter(d, n, n%2 == 0) })
				}
			}
		}
		// Between two polls, nothing but the heartbeat tells that the client has gone. A session
		// that is recovered before that ends the old one by a forced close.
		s.settle(append(lost(), sio.ReasonClientNamespaceDisconnect, sio.ReasonPingTimeout, sio.ReasonForcedClose)...)
	})
}

// oneClient connects a client whose first connection is cut as cut says.
func (s *site) oneClient(transports []string, name string, cut func()) {
	t := s.t
	t.Helper()
	const events = 10
	var got []int
	last, fresh := make(chan []int, 10), 0
	c := s.client(sioclient.Options{Transports: transports, Retries: 20})
	c.OnConnect(func(c *sioclient.Socket) {
		if !c.Recovered() {
			fresh++
		}
	})
	c.On("number", sioclient.Bind(func(_ *sioclient.Ctx, n int) error {
		got = append(got, n)
		if n == events {
			last <- got
		}
		return nil
	}))
	cut()
	c.Open()
	var answers []*sioclient.Answer[any]
	for i := range events {
		a, err := sioclient.Ask[any](c, "say", name, fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if _, err := c.EmitWithAck(within(t), "join"); err != nil { // behind the others
		t.Fatal(err)
	}
	flood := s.observer.Ask("flood", 0, events, 30)
	for i, a := range answers {
		if v, err := a.Wait(within(t)); err != nil || v != fmt.Sprint(i) {
			t.Fatalf("%s: ack %d: %v, %v", name, i, v, err)
		}
	}
	if err := flood.Err(); err != nil {
		t.Fatal(err)
	}
	// A fresh session has left the room, so it joins again before the last number.
	if _, err := c.EmitWithAck(within(t), "join"); err != nil {
		t.Fatal(err)
	}
	if err := s.observer.Ask("flood", events, events+1, 30).Err(); err != nil {
		t.Fatal(err)
	}
	all := wait(t, last)
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("%s: the client got %v", name, all)
	}
	leave(t, c)
	if fresh == 1 && len(all) != events+1 {
		t.Errorf("%s: the session was recovered, and the client got %v", name, all)
	}
	if said := slices.Compact(s.said(name)); !slices.Equal(said, numbers(events)) {
		t.Errorf("%s: the server got %q", name, s.said(name))
	}
}

// The official client, over all ways to connect, whose connections are cut again and again.
func TestOfficialClientIsCutAgainAndAgain(t *testing.T) {
	node := require.Tool(t, "node")
	require.NodePackages(t, "../interop")
	each(t, func(t *testing.T, m mount) {
		s := start(t, m, sio.Options{
			ConnectionStateRecovery: &sio.Recovery{},
			PingInterval:            300 * time.Millisecond, PingTimeout: waitLimit,
		}, func(s *site) {
			s.srv.On("cut me", func(*sio.Ctx) error { s.proxy.Cut(); return nil })
			s.srv.On("number please", func(c *sio.Ctx) error {
				var n int
				if err := c.Bind(&n); err != nil {
					return err
				}
				if err := c.Emit("number", n, []byte("binary"), strings.Repeat("x", 2000)); err != nil {
					return err
				}
				return c.Ack()
			})
		})
		for way, transports := range ways() {
			cmd := exec.CommandContext(t.Context(), node, "client.mjs", "../interop", s.proxy.URL(), way, strings.Join(transports, ","), fmt.Sprint(pick(5, 50)))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", way, err, out)
			}
			said := slices.Compact(s.said(way))
			if len(said) == 0 || !slices.Equal(said, numbers(len(said))) {
				t.Errorf("%s: the server got %q", way, said)
			}
		}
		s.settle(append(lost(), sio.ReasonClientNamespaceDisconnect)...)
	})
}
