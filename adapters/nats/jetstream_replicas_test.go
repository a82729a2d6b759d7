package natsadapter_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
)

// memberEnv has which server of a cluster of NATS a process of this program is: JSON of memberOptions.
const memberEnv = "SIOPLUG_TEST_NATS_MEMBER"

type memberOptions struct {
	Name, Dir, Routes string
	Port, RoutePort   int
}

// runMember is a server of a cluster of NATS until SIGTERM, or for as long as a test may take.
func runMember(text string) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	var m memberOptions
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return err
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: m.Name, Host: "127.0.0.1", Port: m.Port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: m.Dir, JetStreamMaxMemory: 1 << 30, JetStreamMaxStore: 1 << 30,
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: m.RoutePort}, Routes: server.RoutesFromStr(m.Routes),
	})
	if err != nil {
		return err
	}
	srv.Start()
	select {
	case <-stop:
	case <-time.After(10 * time.Minute): // the test cannot say so any more
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	return nil
}

// A member is a server of a cluster of NATS, in a process of its own.
type member struct {
	name, url string
	process   *exec.Cmd
}

// end ends the process, and waits for that.
func (m *member) end(sig os.Signal) {
	_ = m.process.Process.Signal(sig) // it may have ended
	_ = m.process.Wait()
}

// startMembers starts a cluster of NATS with three servers, which ends with the test. On a busy
// machine, servers sometimes do not find each other: then it starts other ones.
func startMembers(t *testing.T) (list []*member) {
	t.Helper()
	const attempts = 6
	for range attempts {
		list = nil
		for _, o := range memberOptionsOf(t) {
			list = append(list, startMember(t, o))
		}
		said := takesStreams(t, list)
		if said == "" {
			return list
		}
		t.Logf("the servers of NATS are no cluster: %s", said)
		for _, m := range list {
			m.end(syscall.SIGKILL)
		}
	}
	t.Fatal("there is no cluster of NATS")
	return nil
}

// memberOptionsOf returns the options of three servers.
func memberOptionsOf(t *testing.T) (list []memberOptions) {
	t.Helper()
	const n = 3
	ports := freePorts(t, 2*n)
	var routes []string
	for _, port := range ports[n:] {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for i := range n {
		list = append(list, memberOptions{
			Name: "n" + strconv.Itoa(i), Dir: t.TempDir(), Port: ports[i], RoutePort: ports[n+i], Routes: strings.Join(routes, ","),
		})
	}
	return list
}

// startMember starts a server, and waits until clients can connect.
func startMember(t *testing.T, o memberOptions) *member {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{o.Name, fmt.Sprintf("nats://127.0.0.1:%d", o.Port), exec.Command(os.Args[0])}
	m.process.Env = append(os.Environ(), memberEnv+"="+string(text))
	m.process.Stderr = os.Stderr
	if err := m.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.end(syscall.SIGTERM) })
	eventually(t, "a server of NATS answers", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(m.url, "nats://"))
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return m
}

// takesStreams waits until a stream can have a replica on each server. If that takes too long, it
// returns what NATS says.
func takesStreams(t *testing.T, list []*member) (said string) {
	t.Helper()
	const limit = 15 * time.Second
	nc := connectTo(t, urls(list))
	defer nc.Close()
	said = "nothing"
	for begin := time.Now(); time.Since(begin) < limit; <-time.After(50 * time.Millisecond) {
		const probe = `{"name":"probe","subjects":["probe"],"num_replicas":3,"storage":"memory"}`
		m, err := nc.Request("$JS.API.STREAM.CREATE.probe", []byte(probe), time.Second)
		if err != nil {
			continue
		}
		if said = string(m.Data); !strings.Contains(said, `"error"`) {
			return ""
		}
	}
	return said
}

// freePorts returns ports that nothing listens on.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		addr, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			t.Fatal(l.Addr())
		}
		ports = append(ports, addr.Port)
	}
	return ports
}

func urls(list []*member) string {
	var all []string
	for _, m := range list {
		all = append(all, m.url)
	}
	return strings.Join(all, ",")
}

// leaderFirst returns the servers of NATS with the leader of a stream as the first one.
func leaderFirst(t *testing.T, nc *nats.Conn, list []*member, stream string) []*member {
	t.Helper()
	var info struct {
		Config struct {
			Replicas int `json:"num_replicas"`
		} `json:"config"`
		Cluster struct {
			Leader string `json:"leader"`
		} `json:"cluster"`
	}
	eventually(t, "the stream has a leader", func() bool {
		m, err := nc.Request("$JS.API.STREAM.INFO."+stream, nil, time.Second)
		return err == nil && json.Unmarshal(m.Data, &info) == nil && info.Cluster.Leader != ""
	})
	if info.Config.Replicas != len(list) {
		t.Fatalf("the stream has %d replicas", info.Config.Replicas)
	}
	var first, others []*member
	for _, m := range list {
		if m.name == info.Cluster.Leader {
			first = append(first, m)
		} else {
			others = append(others, m)
		}
	}
	return append(first, others...)
}

// With three replicas, NATS loses the server that leads the stream, while servers emit. Nothing
// that is not counted as lost is missing, and nothing comes twice or out of order. If nothing was lost, a
// client that was away meanwhile recovers, and all recover when there is a new leader.
//
//nolint:paralleltest // alone: three servers of NATS are a load for the machine
func TestTheLeaderOfTheStreamIsLost(t *testing.T) {
	for name, sig := range map[string]os.Signal{"killed": syscall.SIGKILL, "shut down": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) { testLostLeader(t, sig) })
	}
}

func testLostLeader(t *testing.T, sig os.Signal) {
	t.Helper()
	members := startMembers(t)
	o := natsadapter.JetStreamOptions{Replicas: len(members), AckTimeout: 15 * time.Second} // longer than an election takes
	first := newRecoveringServer(t, connectTo(t, urls(members), nats.DontRandomize()), o)
	eventually(t, "the streams are there", func() bool { return first.Cluster().Healthy && streamExists(first.nc, "sio-sessions") })
	members = leaderFirst(t, first.nc, members, "sio")
	// One server is connected with the server of NATS that is lost, the other one is not.
	here := newRecoveringServer(t, connectTo(t, urls(members), nats.DontRandomize()), o)
	there := newRecoveringServer(t, connectTo(t, urls(members[1:]), nats.DontRandomize()), o)
	servers := []*recoveringServer{here, there}
	hearEachOther(t, first, here, there)

	var stays [2]visitor // a client of each server
	for i, srv := range servers {
		stays[i].connect(t, srv)
	}
	var moves visitor
	moves.visit(t, here)
	var said [2]int
	talk := func(n int) {
		for range n {
			for i, srv := range servers {
				srv.say(t, fmt.Sprint(i, " ", said[i]))
				said[i]++
			}
			<-time.After(4 * time.Millisecond)
		}
	}
	talk(100)
	members[0].end(sig)
	lost := time.Now()
	talk(100)
	for leader := ""; leader == ""; { // with which the stream works
		again := leaderFirst(t, there.nc, members, "sio")
		if again[0] != members[0] {
			leader = again[0].name
		}
	}
	hearEachOther(t, first, here, there)
	t.Logf("all is well %v after the leader was lost", time.Since(lost).Round(time.Millisecond))
	talk(100)
	for i, srv := range servers {
		srv.say(t, fmt.Sprint("end ", i))
	}
	for i := range servers {
		for range servers { // the ends may come in any order
			stays[i].untilAnEnd(t)
		}
		checkSaid(t, &stays[i], servers, said)
	}
	counted := here.Cluster().Lost + there.Cluster().Lost
	if recovered := moves.connect(t, there); !recovered && counted == 0 {
		t.Error("a client that was away meanwhile does not recover, and no message was lost")
	} else {
		t.Logf("a client that was away meanwhile recovers: %t", recovered)
	}
	hearEachOther(t, first, here, there) // messages may have taken core NATS for a while
	checkRecovers(t, here, there)
}

// untilAnEnd reads events until one server has said that it has said all.
func (v *visitor) untilAnEnd(t *testing.T) {
	t.Helper()
	for v.note(t, v.client.Next()); !strings.HasPrefix(v.got[len(v.got)-1], "end"); v.note(t, v.client.Next()) {
		continue
	}
}

// checkSaid checks what a client has got: in order, nothing twice, and all that was not counted as
// lost.
func checkSaid(t *testing.T, v *visitor, servers []*recoveringServer, said [2]int) {
	t.Helper()
	next, missing := [2]int{}, [2]int{}
	for _, what := range v.got {
		var from, n int
		if _, err := fmt.Sscanf(what, "%d %d", &from, &n); err != nil {
			continue
		}
		if n < next[from] {
			t.Fatalf("event %d of server %d comes after %d", n, from, next[from]-1)
		}
		missing[from] += n - next[from]
		next[from] = n + 1
	}
	for i, srv := range servers {
		missing[i] += said[i] - next[i]
		counted := srv.Cluster().Lost
		t.Logf("of %d events of server %d, %d are missing, and %d counted as lost", said[i], i, missing[i], counted)
		if uint64(missing[i]) > counted {
			t.Errorf("more are missing than were counted")
		}
	}
}

// checkRecovers checks that a client goes from one server to another one and gets what it missed.
func checkRecovers(t *testing.T, from, to *recoveringServer) {
	t.Helper()
	var v visitor
	v.connect(t, from)
	eventually(t, "events have offsets", func() bool {
		from.say(t, "new")
		v.note(t, v.client.Next())
		return v.offset != ""
	})
	v.leave(t, to.nc, "sio")
	to.say(t, "missed")
	if !v.connect(t, to) {
		t.Fatal("a client does not recover with the new leader")
	}
	v.until(t, "missed")
}
