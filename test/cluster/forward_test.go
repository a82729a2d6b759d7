package cluster_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster/forward"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/redistest"
)

// newRouter returns a router that forwards over the broker.
func newRouter(t *testing.T, connection adapter.Cluster) *forward.Router {
	t.Helper()
	members, ok := connection.(forward.Members)
	if !ok {
		t.Fatalf("%T has no members", connection)
	}
	r, err := forward.New(members, forward.Options{Secret: "the secret of this cluster"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestForwardingInAMixedCluster: while servers in Go forward polls and POSTs over the broker, a
// server in Node.js in the same cluster is not disturbed. It reports no error, its clients get
// what they should and nothing else, and the servers in Go understand it.
func TestForwardingInAMixedCluster(t *testing.T) {
	t.Parallel()
	for _, v := range []variant{variants()[0], variants()[2], variants()[5], postgresVariants()[0]} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, v)
			c.forward, c.peer.quiet = true, true
			a, b, node := c.startTwoGoOneNode(t)
			c.members = []member{a, b, node}
			for _, s := range []*goServer{a, b} {
				s.srv.Of(forwarded).On("echo", sio.Reply(func(_ *sio.Ctx, text string) (string, error) { return text, nil }))
			}
			c.populate(t)
			stop := exchangeOverOthers(t, a, b)
			for _, m := range []member{a, node} {
				t.Run("from "+m.name(), func(t *testing.T) { c.testFrom(t, m) })
			}
			t.Logf("%d events went over the broker", stop())
			for _, s := range []*goServer{a, b} {
				st, forwarded := s.srv.Cluster(), s.router.Stats()
				if st.Refused+st.Lost+st.Gaps > 0 || !st.Healthy || forwarded.Forwarded < 10 || forwarded.Failed > 0 {
					t.Errorf("server %s: %+v, forwarded %+v", s.id, st, forwarded)
				}
			}
			c.testLeaving(t)
		})
	}
}

// startTwoGoOneNode starts the servers of a cluster, and its broker.
func (c *cluster) startTwoGoOneNode(t *testing.T) (a, b *goServer, node *nodeServer) {
	t.Helper()
	if c.variant.adapter == postgres {
		url := startPostgres(t, c.variant).URL
		return c.startGoPostgresServer(t, "a", url), c.startGoPostgresServer(t, "b", url), startNodeServer(t, c.peer, "c", c.variant, url)
	}
	addr := redistest.Start(t).Addr
	return c.startGoRedisServer(t, "a", addr, nil), c.startGoRedisServer(t, "b", addr, nil), startNodeServer(t, c.peer, "c", c.variant, addr)
}

// forwarded is a namespace of the servers in Go alone, for the clients that come to the wrong one.
const forwarded = "/forwarded"

// exchangeOverOthers opens a session at each server, and sends and gets events over the other one,
// until stop is called. That returns how many.
func exchangeOverOthers(t *testing.T, a, b *goServer) (stop func() (events int)) {
	t.Helper()
	var (
		running sync.WaitGroup
		stopped atomic.Bool
		count   atomic.Int64
	)
	for _, way := range [][2]*goServer{{a, b}, {b, a}} {
		p := openPolling(t, way[0], way[1])
		running.Go(func() {
			for i := 0; !stopped.Load(); i++ {
				size := []int{10, 1000, 100_000}[i%3]
				text := strings.Repeat("0123456789", size/10)
				p.exchange(fmt.Sprintf(`42%s,%d["echo",%q]`, forwarded, i, text), fmt.Sprintf(`43%s,%d[%q]`, forwarded, i, text))
				count.Add(1)
			}
		})
	}
	return func() int {
		stopped.Store(true)
		running.Wait()
		return int(count.Load())
	}
}

// A polling is a client whose requests come to another server than that of its session.
type polling struct {
	t      *testing.T
	client *http.Client
	url    string
}

// openPolling opens a session at a server, and connects over another one.
func openPolling(t *testing.T, at, over *goServer) *polling {
	t.Helper()
	const query = "/socket.io/?EIO=4&transport=polling"
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	p := &polling{t, &http.Client{Transport: transport}, at.url() + query}
	found := regexp.MustCompile(`"sid":"(.+?)"`).FindStringSubmatch(p.do(http.MethodGet, ""))
	if found == nil {
		t.Fatal("no session")
	}
	p.url = over.url() + query + "&sid=" + found[1]
	p.do(http.MethodPost, "40"+forwarded+",")
	if got := p.do(http.MethodGet, ""); !strings.HasPrefix(got, "40"+forwarded+",") {
		t.Fatalf("got %q", got)
	}
	return p
}

// exchange sends a packet and gets one.
func (p *polling) exchange(packet, want string) {
	p.do(http.MethodPost, packet)
	for {
		got := p.do(http.MethodGet, "")
		if rest, ping := strings.CutPrefix(got, "2"); ping {
			p.do(http.MethodPost, "3")
			if got = strings.TrimPrefix(rest, "\x1e"); got == "" {
				continue
			}
		}
		if got != want {
			p.t.Errorf("got %.50q, want %.50q", got, want)
		}
		return
	}
}

func (p *polling) do(method, body string) string {
	r, err := http.NewRequestWithContext(context.WithoutCancel(p.t.Context()), method, p.url, strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return ""
	}
	res, err := p.client.Do(r)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Errorf("%s: %s %.50q, %v", method, res.Status, text, err)
	}
	return string(text)
}
