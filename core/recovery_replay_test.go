package sio_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// resume asks for the session, and does not read what comes.
func (v *visitor) resume(c *siotest.Client) {
	v.Client = c
	c.Send(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, v.pid, v.offset))
}

// A client may have missed more than fits into its send buffer. It is sent as it reads,
// and what is sent meanwhile comes afterwards.
func TestAClientIsSentMoreThanItsSendBufferAsItReads(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			opts := &sio.Options{MaxSendBuffer: 20_000, ConnectionStateRecovery: &sio.Recovery{}}
			bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				const n, size = 200, 3000
				v := arrive(t, srv, open(t, d))
				v.Abort()
				synctest.Wait()
				text := strings.Repeat("x", size)
				for i := range n {
					must(t, srv.Emit("e", i, text))
				}
				id := v.id
				v.resume(open(t, d))
				synctest.Wait()
				must(t, srv.Emit("e", n, text)) // while it waits
				got := 0
				for _, p := range v.answered(t) {
					if want := fmt.Sprintf(`42["e",%d,"%s"]`, got, text); p != want {
						t.Fatalf("got %.50s, want %.50s", p, want)
					}
					got++
				}
				if got != n+1 || v.id != id {
					t.Errorf("got %d events, want %d; same id: %v", got, n+1, v.id == id)
				}
				must(t, srv.Emit("live"))
				v.want(t, `42["live"]`)
			})
		})
	}
}

// While a client does not read what it missed, others are not held up, and its other
// namespaces neither.
func TestAClientThatDoesNotReadWhatItMissedHoldsUpNobody(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		echo(srv.Of("/other"))
		v, other := arrive(t, srv, d.WebSocket(t)), arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		for range 100 {
			must(t, srv.Except(other.id).Emit("e", strings.Repeat("x", 10_000)))
		}
		for range 10 { // more than may read the log at the same time
			clone := *arrive(t, srv, d.WebSocket(t))
			must(t, srv.Except(other.id).Emit("e"))
			clone.Abort()
			synctest.Wait()
			for range 20 {
				must(t, srv.Except(other.id).Emit("e", strings.Repeat("x", 10_000)))
			}
			clone.resume(d.WebSocket(t))
		}
		v.resume(d.WebSocket(t))
		synctest.Wait()
		for i := range 100 {
			must(t, srv.To(other.id).Emit("tick", i))
			other.want(t, fmt.Sprintf(`42["tick",%d]`, i))
		}
		third := *arrive(t, srv, d.WebSocket(t)) // connects, and recovers
		third.mustMiss(t, d, "")
		v.Send("40/other,")
		if missed := v.answeredBy(t, "40/other,"); missed == 0 {
			t.Error("the other namespace came first: nothing was to be read")
		}
	})
}

// answeredBy reads until a packet begins so, and returns how many came before.
func (v *visitor) answeredBy(t *testing.T, prefix string) (n int) {
	t.Helper()
	for ; ; n++ {
		if strings.HasPrefix(v.Next(), prefix) {
			return n
		}
	}
}

// A client that never reads is gone after the ping timeout, and so is what waits for it.
func TestAClientThatNeverReadsWhatItMissed(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		for range 100 {
			must(t, srv.Emit("e", strings.Repeat("x", 10_000)))
		}
		v.resume(d.WebSocket(t))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := srv.ClientsCount(); n != 0 {
			t.Errorf("%d clients", n)
		}
	})
}

// Many clients come back at the same time, and do not read. What they have missed is in
// memory once.
func TestWhatManyClientsMissedIsInMemoryOnce(t *testing.T) {
	bubble(t, recovering, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		const clients, size = 40, 1 << 18
		var list []*visitor
		for range clients {
			list = append(list, arrive(t, srv, d.WebSocket(t)))
		}
		for _, v := range list {
			v.Abort()
		}
		synctest.Wait()
		for i := range 4 {
			must(t, srv.Emit("e", i, strings.Repeat("x", size)))
		}
		before := heapInUse()
		for _, v := range list {
			v.resume(d.WebSocket(t))
		}
		synctest.Wait()
		if grown := heapInUse() - before; grown > clients*size/4 {
			t.Errorf("%d clients that missed events of 256 KiB take %d MiB", clients, grown>>20)
		}
		for _, v := range list {
			if missed := v.answered(t); len(missed) != 4 {
				t.Errorf("missed %d events", len(missed))
			}
		}
	})
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
