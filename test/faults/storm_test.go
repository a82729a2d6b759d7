package faults_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
)

// Many clients lose their connections at the same moment, twice: once the server can be
// reached at once, and once only after a while. All come back, and nine of ten at least recover
// their sessions: a server that is too busy gives up after five seconds. These get what they
// missed, once and in order. Each needs one handshake for that, and nothing is left when
// they have gone.
func TestReconnectStorm(t *testing.T) {
	each(t, func(t *testing.T, m mount) {
		clients := pick(300, 2000)
		if m.name != "nethttp" {
			clients /= 5
		}
		var handshakes atomic.Int64
		s := start(t, m, sio.Options{
			ConnectionStateRecovery: &sio.Recovery{},
			UseRequest: []func(http.Header, *sio.Request) error{func(http.Header, *sio.Request) error {
				handshakes.Add(1)
				return nil
			}},
		}, chatty)
		s.join()
		st := newStorm(s, clients)
		s.flood(0, 5, 100)
		st.wantNews(5)
		before := heap()
		for round, refused := range []bool{false, true} {
			handshakes.Store(0)
			if refused {
				s.proxy.Refuse()
			}
			s.proxy.Reset()
			from := 5 + 5*round
			s.flood(from, from+5, 100)
			if refused {
				s.proxy.Accept()
			}
			st.wantBack()
			st.wantNews(int64(from + 5))
			if n := int(handshakes.Load()); n != clients {
				t.Errorf("%d clients came back with %d handshakes", clients, n)
			}
		}
		if after := heap(); after > before+before/4+2<<20 {
			t.Errorf("%d clients: heap of %d bytes, then %d", clients, before, after)
		}
		st.leave()
		// A client may come back before the server has noticed that it was gone.
		s.settle(append(lost(), sio.ReasonClientNamespaceDisconnect, sio.ReasonForcedClose)...)
	})
}

// A storm is many clients.
type storm struct {
	*site

	list  []*sioclient.Socket
	back  chan bool
	next  []atomic.Int64 // the number that each client awaits
	fresh []atomic.Bool  // clients that were not recovered, which miss some
	wrong atomic.Int64   // numbers that came twice, late or not at all
}

func newStorm(s *site, n int) *storm {
	s.t.Helper()
	st := &storm{site: s, list: make([]*sioclient.Socket, n), back: make(chan bool, 4*n), next: make([]atomic.Int64, n), fresh: make([]atomic.Bool, n)}
	for i := range st.list {
		c := s.client(sioclient.Options{Transports: []string{sioclient.WebSocket}})
		c.OnConnect(func(c *sioclient.Socket) {
			st.fresh[i].Store(st.next[i].Load() > 0 && !c.Recovered() || st.fresh[i].Load())
			st.back <- c.Recovered()
		})
		c.On("number", sioclient.Bind(func(_ *sioclient.Ctx, n int64) error {
			if st.next[i].Add(1) != n+1 && !st.fresh[i].Load() {
				st.wrong.Add(1)
			}
			return nil
		}))
		st.list[i] = c
	}
	st.all(func(c *sioclient.Socket) error {
		if err := c.Connect(within(s.t)); err != nil {
			return err
		}
		_, err := c.EmitWithAck(within(s.t), "join")
		return err
	})
	for range st.list {
		wait(s.t, st.back)
	}
	return st
}

// all calls f for each client, for some at the same time.
func (st *storm) all(f func(c *sioclient.Socket) error) {
	st.t.Helper()
	clients := make(chan *sioclient.Socket)
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() {
			for c := range clients {
				if err := f(c); err != nil {
					st.t.Error(err)
				}
			}
		})
	}
	for _, c := range st.list {
		clients <- c
	}
	close(clients)
	running.Wait()
}

// wantBack waits until all clients are connected again, nearly all with their sessions.
func (st *storm) wantBack() {
	st.t.Helper()
	fresh := 0
	for range st.list {
		if !wait(st.t, st.back) {
			fresh++
		}
	}
	if fresh > len(st.list)/10 {
		st.t.Errorf("%d of %d sessions were not recovered", fresh, len(st.list))
	}
}

// wantNews waits until all clients with their sessions have got the numbers below n, in order and once.
func (st *storm) wantNews(n int64) {
	st.t.Helper()
	st.eventually("all clients have the news", func() string {
		missing := 0
		for i := range st.next {
			if st.next[i].Load() < n && !st.fresh[i].Load() {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Sprintf("%d clients lack some", missing)
		}
		return ""
	})
	if wrong := st.wrong.Load(); wrong > 0 {
		st.t.Errorf("%d numbers came out of order", wrong)
	}
}

func (st *storm) leave() {
	st.t.Helper()
	st.all(func(c *sioclient.Socket) error { return c.Manager().Shutdown(within(st.t)) })
}
