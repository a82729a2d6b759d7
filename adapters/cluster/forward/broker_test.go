package forward_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster/forward"
	sio "github.com/sioplug/sioplug/core"
)

// brokerPair starts two servers that forward over the broker, and opens a session at b.
func brokerPair(t *testing.T, o startOptions) (a, b *node, sid string) {
	t.Helper()
	o.broker = true
	a, b, _, sid = pair(t, o)
	return a, b, sid
}

// Bodies and answers of many parts arrive as they were.
func TestPartsOverTheBroker(t *testing.T) {
	t.Parallel()
	const limit = 4 << 20
	a, b, sid := brokerPair(t, startOptions{server: sio.Options{MaxHTTPBufferSize: limit, MaxSendBuffer: 4 * limit}})
	a.request(t, http.MethodGet, sid, "", nil)
	for _, size := range []int{1, forward.PartSize - 500, forward.PartSize, 3*forward.PartSize + 1, 40 * forward.PartSize, limit - 100} {
		text := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		a.want(t, http.MethodPost, sid, `421["echo","`+text+`"]`, "200 ok")
		if status, got, _ := a.request(t, http.MethodGet, sid, "", nil); status != http.StatusOK || got != `431["`+text+`"]` {
			t.Errorf("%d bytes: %d, %d bytes came back", size, status, len(got))
		}
	}
	if n := b.ClientsCount(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	eventually(t, "nothing is kept", func() bool { return a.router.Kept() == 0 && b.router.Kept() == 0 })
}

// An answer with packets that is lost ends its session. The client must not go on without them.
func TestLostAnswersEndTheSession(t *testing.T) {
	t.Parallel()
	a, b, sid := brokerPair(t, startOptions{})
	a.request(t, http.MethodGet, sid, "", nil)
	b.want(t, http.MethodPost, sid, `42["count",1]`, "200 ok")
	b.relay.set(func(r *relay) { r.lose = loseFirst(forward.AnswerKind) })
	a.want(t, http.MethodGet, sid, "", "503")
	eventually(t, "the session ends", func() bool { return b.ClientsCount() == 0 })
	a.want(t, http.MethodGet, sid, "", unknownSession)
	eventually(t, "nothing is kept", func() bool { return a.router.Kept() == 0 && b.router.Kept() == 0 })
}

// A poll that has waited learns that its answer is lost.
func TestLostAnswersOfPollsThatWait(t *testing.T) {
	t.Parallel()
	a, b, sid := brokerPair(t, startOptions{})
	waits := make(chan bool, 1)
	b.relay.set(func(r *relay) {
		r.lose = func(_ string, data []byte) bool {
			if data[forward.KindAt] == forward.WaitKind {
				waits <- true
			}
			return false
		}
	})
	answer := poll(t, a, b, sid)
	<-waits // a hears of it, before the answer
	b.relay.set(func(r *relay) { r.lose = loseFirst(forward.AnswerKind) })
	b.want(t, http.MethodPost, sid, `42["count",1]`, "200 ok")
	if got := <-answer; got != `Bad Request {"code":1,"message":"Session ID unknown"}` {
		t.Errorf("got %q", got)
	}
	eventually(t, "the session ends", func() bool { return b.ClientsCount() == 0 })
}

// loseFirst loses the first frame of a kind.
func loseFirst(kind byte) func(string, []byte) bool {
	var lost atomic.Bool
	return func(_ string, data []byte) bool {
		return data[forward.KindAt] == kind && lost.CompareAndSwap(false, true)
	}
}

// A lost confirmation ends the session, too: the other server may not have the answer.
func TestLostConfirmationsEndTheSession(t *testing.T) {
	t.Parallel()
	a, b, sid := brokerPair(t, startOptions{})
	a.relay.set(func(r *relay) { r.lose = loseFirst(forward.ConfirmKind) })
	if status, text, _ := a.request(t, http.MethodGet, sid, "", nil); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	eventually(t, "the session ends", func() bool { return b.ClientsCount() == 0 })
}

// Only answers with packets are confirmed: the answer to a POST has nothing that could be lost.
func TestOnlyPollsAreConfirmed(t *testing.T) {
	t.Parallel()
	a, _, sid := brokerPair(t, startOptions{})
	var confirmed atomic.Int64
	a.relay.set(func(r *relay) {
		r.lose = func(_ string, data []byte) bool {
			if data[forward.KindAt] == forward.ConfirmKind {
				confirmed.Add(int64(len(data)-forward.FrameHead) / 8)
			}
			return false
		}
	})
	a.request(t, http.MethodGet, sid, "", nil)
	for i := range 3 {
		a.want(t, http.MethodPost, sid, fmt.Sprintf(`42["count",%d]`, i), "200 ok")
		a.want(t, http.MethodGet, sid, "", fmt.Sprintf(`200 42["counted",%d]`, i))
	}
	eventually(t, "the polls are confirmed", func() bool { return confirmed.Load() >= 4 })
	if n := confirmed.Load(); n != 4 {
		t.Errorf("%d answers were confirmed, of 4 polls and 3 POSTs", n)
	}
}

// A request that is lost takes nothing from the session, which goes on.
func TestLostRequests(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			a, b, sid := brokerPair(t, startOptions{})
			a.request(t, http.MethodGet, sid, "", nil)
			b.want(t, http.MethodPost, sid, `42["count",1]`, "200 ok")
			a.relay.set(func(r *relay) { r.lose = loseFirst(forward.RequestKind) })
			body := ""
			if method == http.MethodPost {
				body = `42["count",2]`
			}
			a.want(t, method, sid, body, "503")
			a.want(t, http.MethodGet, sid, "", `200 42["counted",1]`)
		})
	}
}

// While the broker hangs, requests are answered in a bounded time, and the session loses nothing.
func TestTheBrokerHangs(t *testing.T) {
	t.Parallel()
	a, b, sid := brokerPair(t, startOptions{})
	a.request(t, http.MethodGet, sid, "", nil)
	b.want(t, http.MethodPost, sid, `42["count",1]`, "200 ok")
	hang := make(chan struct{})
	a.relay.set(func(r *relay) { r.hang = hang })
	begin := time.Now()
	a.want(t, http.MethodGet, sid, "", "503")
	if d := time.Since(begin); d > patience/2 {
		t.Errorf("it took %v", d)
	}
	a.relay.set(func(r *relay) { r.hang = nil })
	close(hang)
	a.want(t, http.MethodGet, sid, "", `200 42["counted",1]`)
}

// Who can read and write the broker cannot send a request again, change it, or make one.
func TestForgedFrames(t *testing.T) {
	t.Parallel()
	a, b, sid := brokerPair(t, startOptions{})
	var recorded atomic.Pointer[[]byte]
	a.relay.set(func(r *relay) {
		r.lose = func(_ string, data []byte) bool {
			if data[forward.KindAt] == forward.RequestKind {
				recorded.Store(&data)
			}
			return false
		}
	})
	a.request(t, http.MethodGet, sid, "", nil)
	a.want(t, http.MethodPost, sid, `42["count",1]`, "200 ok")
	genuine := *recorded.Load()
	changed := append([]byte(nil), genuine...)
	changed[len(changed)-2] = '7'
	for _, data := range [][]byte{genuine, changed, nil, genuine[:forward.KindAt], make([]byte, 100)} {
		b.relay.deliver(a.id, data)
	}
	b.relay.deliver("go99999999999999", genuine) // which is not its sender
	eventually(t, "all are refused", func() bool { return b.router.Stats().Strangers == 6 })
	a.want(t, http.MethodGet, sid, "", `200 42["counted",1]`)
	a.want(t, http.MethodPost, sid, `42["count",2]`, "200 ok")
	a.want(t, http.MethodGet, sid, "", `200 42["counted",2]`)
	if s := b.router.Stats(); s.Received != 5 {
		t.Errorf("%+v", s)
	}
}

// Upgrades over the broker are refused, and the client goes on with polling.
func TestUpgradesOverTheBroker(t *testing.T) {
	t.Parallel()
	a, _, sid := brokerPair(t, startOptions{})
	if status := upgradeStatus(t, a.dialer(), sid); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	a.request(t, http.MethodGet, sid, "", nil)
	a.want(t, http.MethodPost, sid, `42["count",1]`, "200 ok")
	a.want(t, http.MethodGet, sid, "", `200 42["counted",1]`)
	a.wantStats(t, forward.Stats{Forwarded: 3, Refused: 1})
}

// Headers that do not fit are refused where they come in.
func TestLargeHeadersOverTheBroker(t *testing.T) {
	t.Parallel()
	a, b, sid := brokerPair(t, startOptions{})
	header := http.Header{"X-Large": {strings.Repeat("a", forward.PartSize)}}
	if status, _, _ := a.request(t, http.MethodGet, sid, "", header); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", status)
	}
	header.Set("X-Large", strings.Repeat("a", forward.PartSize-1000))
	if status, text, _ := a.request(t, http.MethodGet, sid, "", header); status != http.StatusOK {
		t.Errorf("%d %s", status, text)
	}
	b.wantStats(t, forward.Stats{Received: 1})
}

// Servers that are reached over HTTP and servers that are reached over the broker work together.
func TestBothWaysInOneCluster(t *testing.T) {
	t.Parallel()
	r := new(registry)
	nodes := []*node{start(t, r, 0, startOptions{broker: true}), start(t, r, 1, startOptions{}), start(t, r, 2, startOptions{broker: true})}
	for i, owner := range nodes {
		sid := owner.open(t)
		for n, s := range nodes {
			if n == i {
				continue
			}
			s.request(t, http.MethodGet, sid, "", nil)
			s.want(t, http.MethodPost, sid, fmt.Sprintf(`42["count",%d]`, n), "200 ok")
			s.want(t, http.MethodGet, sid, "", fmt.Sprintf(`200 42["counted",%d]`, n))
			break
		}
	}
}
