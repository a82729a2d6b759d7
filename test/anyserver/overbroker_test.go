//go:build unix

package anyserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sioplug/sioplug/internal/postgrestest"
	"github.com/sioplug/sioplug/internal/redistest"
	"github.com/sioplug/sioplug/internal/require"
)

// pollers is how many official clients poll over each broker. One of them sends and gets many
// messages.
const (
	pollers  = 4
	many     = 10_000
	together = 50 // of them, before it waits for answers
)

// TestOverTheBroker: servers that cannot reach each other forward polls and POSTs over their
// broker. Official clients get all messages, in order, one of them 10,000. When a server is killed, its clients
// connect again.
func TestOverTheBroker(t *testing.T) { //nolint:tparallel // one after the other: each is a load for the machine
	t.Parallel()
	nginx, node := require.Tool(t, "nginx"), require.Tool(t, "node")
	require.NodePackages(t, "../interop")
	for _, tt := range []struct {
		adapter string
		start   func(t *testing.T) (variable string)
	}{
		{"classic", startRedis},
		{"sharded", startRedis},
		{"streams", startRedis},
		{"nats", startNATS},
		{"jetstream", startNATS},
		{"postgres", func(t *testing.T) string { t.Helper(); return "BROKER=" + postgrestest.Start(t).URL }},
	} {
		t.Run(tt.adapter, func(t *testing.T) {
			testOverTheBroker(t, nginx, node, tt.adapter, tt.start(t))
		})
	}
}

func startRedis(t *testing.T) string { t.Helper(); return "REDIS=" + redistest.Start(t).Addr }

func startNATS(t *testing.T) string {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
		JetStreamMaxMemory: 1 << 30, JetStreamMaxStore: 1 << 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the server of NATS does not start")
	}
	return "BROKER=" + srv.ClientURL()
}

func testOverTheBroker(t *testing.T, nginx, node, adapter, broker string) {
	t.Helper()
	var all []*process
	for n := range servers {
		addr := freePort(t)
		s := start(t, os.Args[0], []string{
			roleVariable + "=" + string(rune('a'+n)), "ADDR=" + addr, broker, "ADAPTER=" + adapter, "OVER_BROKER=1", "SERVERS=" + strconv.Itoa(servers),
		})
		s.addr = addr
		all = append(all, s)
	}
	for _, s := range all {
		s.wantLine(t, "ready")
	}
	interop, err := filepath.Abs("../interop")
	if err != nil {
		t.Fatal(err)
	}
	js := start(t, node, nil, "client.mjs", interop, "http://"+startNginx(t, nginx, all), strconv.Itoa(pollers), "polling")
	js.say(t, "start")
	names, ok := strings.CutPrefix(js.line(t), "start ")
	if !ok {
		t.Fatalf("got %q", names)
	}
	js.say(t, fmt.Sprint("many ", many, " ", together))
	took, ok := strings.CutPrefix(js.line(t), fmt.Sprint("many ", many, " "))
	if !ok {
		t.Fatal("one client does not get its messages")
	}
	t.Logf("one client has sent %d messages and got as many in %s ms", many, took)
	killed := int(names[0] - 'a')
	if err := all[killed].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	js.say(t, "killed "+names[:1])
	var theirs, lost, noticed int
	if _, err := fmt.Sscanf(js.line(t), "killed %d of %d after %d ms", &theirs, &lost, &noticed); err != nil {
		t.Fatal(err)
	}
	t.Logf("the clients of a server that was killed have noticed that after %d ms", noticed)
	if limit := 3 * time.Second; time.Duration(noticed)*time.Millisecond > limit {
		t.Errorf("the clients of a server that was killed have noticed that after %d ms, want %v", noticed, limit)
	}
	js.say(t, "stop")
	js.wantLine(t, "stop stopped")
	for n, s := range all {
		if n == killed {
			continue
		}
		_ = s.in.Close()
		var forwarded, received int
		if _, err := fmt.Sscanf(s.line(t), "forwarded %d received %d", &forwarded, &received); err != nil || forwarded == 0 {
			t.Errorf("forwarded %d, received %d: %v", forwarded, received, err)
		}
		t.Logf("forwarded %d, received %d", forwarded, received)
	}
}
