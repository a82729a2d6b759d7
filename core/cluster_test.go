package sio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// A fleet is several servers of one cluster in memory, each with one client.
type fleet struct {
	cluster *adapter.Memory
	servers []*sio.Server
	dialers []siotest.Dialer
	clients []*siotest.Client
	ids     []string // of the clients' sockets
}

// cluster runs f with n servers that have the options of opts, in a bubble.
func cluster(t *testing.T, n int, opts sio.Options, f func(t *testing.T, fl *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fl := new(fleet)
		fl.cluster = adapter.NewMemory()
		opts.Adapter = fl.cluster
		for range n {
			srv := newServer(t, &opts)
			echo(srv.Namespace)
			d := siotest.Pipes(t, srv)
			t.Cleanup(func() { shutdown(t, srv) })
			c := d.WebSocket(t)
			fl.ids = append(fl.ids, c.Connect("/", ""))
			fl.servers, fl.dialers, fl.clients = append(fl.servers, srv), append(fl.dialers, d), append(fl.clients, c)
		}
		synctest.Wait()
		f(t, fl)
	})
}

// want fails unless the clients got that packet, and the others nothing.
func (fl *fleet) want(t *testing.T, packet string, clients ...int) {
	t.Helper()
	synctest.Wait()
	for i, c := range fl.clients {
		if slices.Contains(clients, i) {
			c.Want(packet)
		}
		mustEcho(t, c)
	}
}

func TestSIO_BC_8_CU_3_SetsReachAllServersUnlessLocal(t *testing.T) {
	cluster(t, 3, sio.Options{}, func(t *testing.T, fl *fleet) {
		srv := fl.servers[0]
		must(t, srv.Emit("all"))
		fl.want(t, `42["all"]`, 0, 1, 2)
		must(t, srv.Broadcast().Local().Emit("local"))
		fl.want(t, `42["local"]`, 0)
		must(t, srv.To(fl.ids[1], fl.ids[2]).Join("room"))
		must(t, srv.To("room").Except(fl.ids[2]).Emit("room"))
		fl.want(t, `42["room"]`, 1)
		must(t, srv.To("room").Local().Leave("room")) // nobody is in it here
		must(t, fl.servers[2].To("room").Emit("still there"))
		fl.want(t, `42["still there"]`, 1, 2)
		must(t, srv.To(fl.ids[1]).Leave("room"))
		must(t, fl.servers[1].To("room").Emit("without him"))
		fl.want(t, `42["without him"]`, 2)
	})
}

// All servers say whom they have asked, and who is asked answers or is missed.
func TestSIO_BA_8_BA_9_AnswersOfAllServers(t *testing.T) {
	cluster(t, 3, sio.Options{}, func(t *testing.T, fl *fleet) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		ask := func(b sio.Broadcast) <-chan string {
			got := make(chan string, 10)
			go func() {
				defer close(got)
				for a := range sio.BroadcastWithAck[int](ctx, b, "q") {
					who := slices.Index(fl.ids, a.Socket)
					got <- fmt.Sprint(who, " ", a.Value, " ", a.Err == nil, " ", (a.Server == "") == (who == 0))
				}
			}()
			return got
		}
		got := ask(fl.servers[0].Broadcast())
		for i, c := range fl.clients {
			quiz(t, c, `["q"]`)(fmt.Sprintf("[%d,\"more\"]", i))
		}
		all := []string{<-got, <-got, <-got}
		slices.Sort(all)
		if _, more := <-got; more || !slices.Equal(all, []string{"0 0 true true", "1 1 true true", "2 2 true true"}) {
			t.Errorf("answers %q, more: %v", all, more)
		}

		got = ask(fl.servers[0].To(fl.ids[2])) // one client, wherever it is
		quiz(t, fl.clients[2], `["q"]`)("[7]")
		if a := <-got; a != "2 7 true true" {
			t.Errorf("answer %s", a)
		}
		if a, more := <-got; more {
			t.Errorf("another answer: %s", a)
		}

		start := time.Now()
		got = ask(fl.servers[0].Broadcast())
		for i, c := range fl.clients[:2] {
			quiz(t, c, `["q"]`)(fmt.Sprintf("[%d]", i))
			<-got
		}
		quiz(t, fl.clients[2], `["q"]`)
		if a := <-got; a != "2 0 false true" || time.Since(start) != 20*time.Second {
			t.Errorf("the silent one: %s after %v", a, time.Since(start))
		}
	})
}

func TestSIO_CU_5_CU_6_ServersAmongThemselves(t *testing.T) {
	cluster(t, 3, sio.Options{}, func(t *testing.T, fl *fleet) {
		var told story
		for i, srv := range fl.servers {
			srv.OnServerEvent("e", func(_ context.Context, args sio.Args) (any, error) {
				var n int
				var blob []byte
				must(t, args.Bind(&n, &blob))
				told.add("%d: %d %s", i, n, blob)
				if n == 13 && i == 2 {
					return nil, errors.New("nobody's business")
				}
				return n + i, nil
			})
		}
		must(t, fl.servers[1].ServerSideEmit("e", 1, []byte("blob")))
		synctest.Wait()
		if got := told.told(); len(got) != 2 || !slices.Contains(got, "0: 1 blob") || !slices.Contains(got, "2: 1 blob") {
			t.Errorf("told %q", got)
		}
		var sum int
		for a := range sio.ServerSideEmitWithAck[int](t.Context(), fl.servers[0].Namespace, "e", 10, []byte{}) {
			must(t, a.Err)
			sum += a.Value
		}
		if sum != 11+12 {
			t.Errorf("the sum of the answers is %d", sum)
		}
	})
}

// Servers keep events and sessions for recovery, whatever the cluster is.
func TestSIO_CSR_12_ClientsMissNothingOfOtherServers(t *testing.T) {
	cluster(t, 2, sio.Options{ConnectionStateRecovery: &sio.Recovery{}}, func(t *testing.T, fl *fleet) {
		v := arrive(t, fl.servers[0], fl.dialers[0].WebSocket(t))
		must(t, fl.servers[1].Emit("from the other one"))
		v.want(t, `42["from the other one"]`)
		old := v.id
		v.Abort()
		synctest.Wait()
		must(t, fl.servers[1].Emit("missed", []byte{7}))
		must(t, fl.servers[1].To(v.id).Emit("personal"))
		want := []string{`451-["missed",{"_placeholder":true,"num":0}]`, "bBw==", `42["personal"]`}
		if missed := v.connect(t, fl.dialers[0].WebSocket(t)); v.id != old || !slices.Equal(missed, want) {
			t.Errorf("missed %q, same id: %v", missed, v.id == old)
		}
	})
}

// An argument that can be encoded once.
type oneTime struct{ encoded *int }

func (o oneTime) MarshalJSON() ([]byte, error) {
	if *o.encoded++; *o.encoded > 1 {
		return nil, errors.New("encoded already")
	}
	return []byte("1"), nil
}

// It was encoded for each child of a parent, after others had been asked, whose
// answers nobody waited for when that failed.
func TestServersAreAskedWithWhatWasEncodedOnce(t *testing.T) {
	cluster(t, 2, sio.Options{}, func(t *testing.T, fl *fleet) {
		var parents []*sio.Namespace
		for i, srv := range fl.servers {
			parent := srv.OfFunc(func(string, *sio.Handshake) bool { return true })
			parent.OnServerEvent("ask", func(_ context.Context, a sio.Args) (any, error) {
				var n int
				time.Sleep(100 * time.Millisecond)
				return n, a.Bind(&n)
			})
			fl.clients[i].Connect("/child1", "")
			fl.clients[i].Connect("/child2", "")
			parents = append(parents, parent)
		}
		synctest.Wait()
		sum := 0
		for a := range sio.ServerSideEmitWithAck[int](t.Context(), parents[0], "ask", oneTime{new(int)}) {
			must(t, a.Err)
			sum += a.Value
		}
		if sum != 2 {
			t.Errorf("the sum of the answers is %d", sum)
		}
		for range 10 { // a goroutine that stayed would keep the bubble
			failed := oneTime{new(int)}
			*failed.encoded = 1
			for a := range sio.ServerSideEmitWithAck[int](t.Context(), parents[0], "ask", failed) {
				if a.Err == nil {
					t.Error("no error")
				}
			}
		}
	})
}
