//go:build unix

package engine_test

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
	"github.com/sioplug/sioplug/internal/frame"
)

// BenchmarkStalled sends messages to 4,950 sessions that are read, alternately with and
// without 50 that are not. It reports the CPU time of the server for each delivery without
// the 50, how much more it is with them, the time for each message to one of the 50, and
// how much waits for it. docs/slow-clients.md has its results. It needs 10,000 descriptors.
func BenchmarkStalled(b *testing.B) {
	for _, p := range []struct {
		name   string
		policy func(i int) frame.Policy // nil: volatile
	}{
		{"volatile", nil},
		{"drop oldest", func(int) frame.Policy { return frame.Policy{Namespace: "/", Event: "e", MaxWaiting: 100} }},
		{"latest of 100 keys", func(i int) frame.Policy { return frame.Policy{Namespace: "/", Key: strconv.Itoa(i % 100)} }},
	} {
		b.Run(p.name, func(b *testing.B) { benchmarkStalled(b, p.policy) })
	}
}

const (
	openBytes    = 2 + 107 // the open packet
	stalledBurst = 20      // messages before clients read them
)

var stalledText = strings.Repeat("x", 100)

// A stalledBench has the server's sessions, and the clients' ends of their sockets.
type stalledBench struct {
	server   *engine.Server
	sessions []*engine.Session
	clients  []int
	sent     int
}

// open opens a session, and reads what it begins with.
func (sb *stalledBench) open(b *testing.B) {
	b.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		b.Skipf("%v: too few descriptors?", err)
	}
	f := os.NewFile(uintptr(fds[0]), "server")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		b.Skipf("%v: too few descriptors?", err)
	}
	sb.server.Serve(b.Context(), &quickExchange{conn: conn, req: engine.Request{
		Method: http.MethodGet, Header: enginetest.Handshake(),
		Query: url.Values{"EIO": {"4"}, "transport": {"websocket"}},
	}})
	sb.clients = append(sb.clients, fds[1])
	sb.read(b, len(sb.clients)-1, openBytes)
}

// read reads so many bytes of a client.
func (sb *stalledBench) read(b *testing.B, client, n int) {
	b.Helper()
	var p [16 << 10]byte
	for n > 0 {
		got, err := syscall.Read(sb.clients[client], p[:min(n, len(p))])
		if err != nil && !errors.Is(err, syscall.EINTR) {
			b.Fatal(err)
		}
		n -= max(got, 0)
	}
}

// stall fills the sockets of the first clients.
func (sb *stalledBench) stall(b *testing.B, n int) {
	b.Helper()
	for i := range n {
		for range 2 {
			if err := sb.sessions[i].Send(message(strings.Repeat("x", 300_000))); err != nil {
				b.Fatal(err)
			}
		}
		sb.read(b, i, 1) // it is being written
	}
}

// sendBurst sends messages to sessions, and waits until those that are read have them.
func (sb *stalledBench) sendBurst(b *testing.B, policy func(i int) frame.Policy, to, reading []*engine.Session) (cpu int64) {
	b.Helper()
	start := cpuTime(b)
	for range stalledBurst {
		f := message(stalledText)
		if policy != nil {
			frame.SetPolicy([]*frame.Frame{f}, policy(sb.sent))
		}
		for _, s := range to {
			if policy == nil {
				s.SendVolatile(f)
			} else if err := s.Send(f); err != nil {
				b.Fatal(err)
			}
		}
		for _, s := range reading {
			if err := s.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		sb.sent++
	}
	cpu = cpuTime(b) - start
	for i := range reading {
		sb.read(b, len(sb.sessions)-len(reading)+i, stalledBurst*(2+1+len(stalledText)))
	}
	return cpu
}

func benchmarkStalled(b *testing.B, policy func(i int) frame.Policy) {
	b.Helper()
	const stalled, reading = 50, 4950
	sb := new(stalledBench)
	sb.server = engine.NewServer(engine.Options{PingInterval: time.Hour}, func(s *engine.Session) engine.Handler {
		sb.sessions = append(sb.sessions, s)
		return echo{s}
	})
	for range stalled + reading {
		sb.open(b)
	}
	sb.stall(b, stalled)
	var costs, ratios []float64
	for n := 0; b.Loop(); n++ {
		var cpu [2]int64 // without the stalled ones, and with them
		for i := range cpu {
			which := (n + i) % 2
			cpu[which] = sb.sendBurst(b, policy, sb.sessions[stalled*(1-which):], sb.sessions[stalled:])
		}
		costs = append(costs, float64(cpu[0])/(stalledBurst*reading))
		ratios = append(ratios, float64(cpu[1])/float64(cpu[0]))
	}
	b.ReportMetric(median(costs), "cpu-ns/delivery")
	b.ReportMetric(100*(median(ratios)-1), "%-more-with-stalled")
	const rounds = 200
	start := cpuTime(b)
	for range rounds {
		sb.sendBurst(b, policy, sb.sessions[:stalled], nil)
	}
	b.ReportMetric(float64(cpuTime(b)-start)/(rounds*stalledBurst*stalled), "cpu-ns/stalled")
	most := 0
	for _, s := range sb.sessions[:stalled] {
		most = max(most, s.Buffered())
	}
	b.ReportMetric(float64(most), "B-waiting")
	for _, fd := range sb.clients {
		_ = syscall.Close(fd)
	}
	if err := sb.server.Shutdown(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// cpuTime returns the CPU time that the process has used, in nanoseconds.
func cpuTime(b *testing.B) int64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
