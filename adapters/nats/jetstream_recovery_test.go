package natsadapter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	natsadapter "github.com/sioplug/sioplug/adapters/nats"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// A recoveringServer is a server whose clients recover.
type recoveringServer struct {
	*sio.Server

	nc     *nats.Conn
	dialer siotest.Dialer
}

func newRecoveringServer(t *testing.T, nc *nats.Conn, o natsadapter.JetStreamOptions) *recoveringServer {
	t.Helper()
	c := natsadapter.NewJetStream(nc, o)
	natsadapter.SetLocalWait(c, patience)
	srv := sio.New(&sio.Options{Adapter: c, ConnectionStateRecovery: &sio.Recovery{}})
	t.Cleanup(func() {
		if err := srv.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return &recoveringServer{srv, nc, siotest.Loopback(t, srv)}
}

// newRecoveringServers returns servers that hear each other.
func newRecoveringServers(t *testing.T, s *natsServer, n int, o natsadapter.JetStreamOptions) (list []*recoveringServer) {
	t.Helper()
	s.prepare(t, o)
	for range n {
		list = append(list, newRecoveringServer(t, s.connect(t), o))
	}
	hearEachOther(t, list...)
	return list
}

func hearEachOther(t *testing.T, list ...*recoveringServer) {
	t.Helper()
	for _, srv := range list {
		eventually(t, "the servers hear each other", func() bool { return srv.Cluster().Healthy && len(srv.Cluster().Members) == len(list)-1 })
	}
}

// A visitor is a client that comes back.
type visitor struct {
	client *siotest.Client
	id     string
	pid    string
	offset string
	got    []string // the first arguments of all events
}

var (
	connectAnswer = regexp.MustCompile(`^40\{"sid":"(.+?)","pid":"(.+?)"\}$`)
	anEvent       = regexp.MustCompile(`^42\["n","(.*?)","(.+?)"\]$`)
	withoutOffset = regexp.MustCompile(`^42\["n","(.*?)"\]$`)
)

// connect connects the client. It reports whether it has recovered.
func (v *visitor) connect(t *testing.T, to *recoveringServer) (recovered bool) {
	t.Helper()
	auth := ""
	if v.offset != "" {
		auth = fmt.Sprintf(`{"pid":%q,"offset":%q}`, v.pid, v.offset)
	}
	v.client = to.dialer.WebSocket(t)
	v.client.Send("40" + auth)
	for {
		p := v.client.Next()
		if m := connectAnswer.FindStringSubmatch(p); m != nil {
			recovered = v.id == m[1]
			v.id, v.pid = m[1], m[2]
			return recovered
		}
		v.note(t, p)
	}
}

func (v *visitor) note(t *testing.T, p string) {
	t.Helper()
	if m := anEvent.FindStringSubmatch(p); m != nil {
		v.got, v.offset = append(v.got, m[1]), m[2]
		return
	}
	m := withoutOffset.FindStringSubmatch(p)
	if m == nil {
		t.Fatalf("got %q", p)
	}
	v.got = append(v.got, m[1])
}

// until reads events up to that one.
func (v *visitor) until(t *testing.T, name string) {
	t.Helper()
	for len(v.got) == 0 || v.got[len(v.got)-1] != name {
		v.note(t, v.client.Next())
	}
}

// stored returns how many messages are in a stream.
func stored(t *testing.T, nc *nats.Conn, stream string) (messages int) {
	t.Helper()
	m, err := nc.Request("$JS.API.STREAM.INFO."+stream, nil, patience)
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		State struct {
			Messages int    `json:"messages"`
			Last     uint64 `json:"last_seq"`
		} `json:"state"`
	}
	if err := json.Unmarshal(m.Data, &info); err != nil {
		t.Fatal(err)
	}
	return int(info.State.Last)
}

// visit connects the client, has it get an event, and cuts the connection.
func (v *visitor) visit(t *testing.T, srv *recoveringServer) {
	t.Helper()
	v.connect(t, srv)
	srv.say(t, "first")
	v.until(t, "first")
	v.leave(t, srv.nc, "sio")
}

// leave cuts the connection, and waits until the session is saved.
func (v *visitor) leave(t *testing.T, nc *nats.Conn, stream string) {
	t.Helper()
	before := stored(t, nc, stream+"-sessions")
	v.client.Abort()
	eventually(t, "the session is saved", func() bool { return stored(t, nc, stream+"-sessions") > before })
}

func (s *recoveringServer) say(t *testing.T, what string) {
	t.Helper()
	if err := s.Emit("n", what); err != nil {
		t.Fatal(err)
	}
}

// Clients go from server to server while both emit. They get everything once and in the order
// that a client gets which stays.
func TestClientsComeBackToAnotherServer(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	servers := newRecoveringServers(t, s, 2, natsadapter.JetStreamOptions{})
	var stays, moves visitor
	stays.connect(t, servers[1])
	moves.connect(t, servers[0])
	servers[0].say(t, "first")
	moves.until(t, "first")
	stop := make(chan struct{})
	var emitting sync.WaitGroup
	for i, srv := range servers {
		emitting.Go(func() {
			tick := time.NewTicker(4 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-tick.C:
					if err := srv.Emit("n", fmt.Sprint(i, " ", n)); err != nil {
						t.Error(err)
					}
				case <-stop:
					return
				case <-t.Context().Done():
					return
				}
			}
		})
	}
	const rounds = 6
	for i := range rounds {
		for range 20 {
			moves.note(t, moves.client.Next())
		}
		moves.leave(t, servers[0].nc, "sio")
		if to := servers[(i+1)%2]; !moves.connect(t, to) {
			t.Fatalf("not recovered in round %d", i)
		}
	}
	close(stop)
	emitting.Wait()
	servers[0].say(t, "last")
	stays.until(t, "last")
	moves.until(t, "last")
	if !slices.Equal(moves.got, stays.got) {
		t.Errorf("it got %d events, and who stayed got %d", len(moves.got), len(stays.got))
	}
	for _, srv := range servers {
		if st := srv.Cluster(); st.Lost+st.Gaps+st.Refused > 0 {
			t.Errorf("status %+v", st)
		}
	}
}

// What the stream does not have any more cannot be recovered, and new sessions can.
func TestStreamsThatLoseMessages(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(t *testing.T, nc *nats.Conn){
		"purged":  func(t *testing.T, nc *nats.Conn) { t.Helper(); api(t, nc, "STREAM.PURGE.sio") },
		"deleted": func(t *testing.T, nc *nats.Conn) { t.Helper(); api(t, nc, "STREAM.DELETE.sio") },
		"both deleted": func(t *testing.T, nc *nats.Conn) {
			t.Helper()
			api(t, nc, "STREAM.DELETE.sio-sessions")
			api(t, nc, "STREAM.DELETE.sio")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startJetStream(t)
			srv := newRecoveringServers(t, s, 1, natsadapter.JetStreamOptions{})[0]
			var v visitor
			v.connect(t, srv)
			srv.say(t, "first")
			v.until(t, "first")
			v.leave(t, srv.nc, "sio")
			srv.say(t, "missed")
			eventually(t, "it is stored", func() bool { return stored(t, srv.nc, "sio") >= 2 })
			lose(t, srv.nc)
			srv.say(t, "also missed")
			if v.connect(t, srv) {
				t.Fatalf("recovered, with %q", v.got)
			}
			v.offset = ""
			eventually(t, "messages have offsets", func() bool {
				srv.say(t, "new")
				v.note(t, v.client.Next())
				return v.offset != ""
			})
			eventually(t, "sessions are kept", func() bool { return streamExists(srv.nc, "sio-sessions") })
			v.leave(t, srv.nc, "sio")
			srv.say(t, "again")
			if !v.connect(t, srv) {
				t.Fatal("not recovered")
			}
			v.until(t, "again")
		})
	}
}

func streamExists(nc *nats.Conn, name string) bool {
	m, err := nc.Request("$JS.API.STREAM.INFO."+name, nil, patience)
	return err == nil && !strings.Contains(string(m.Data), `"error"`)
}

func api(t *testing.T, nc *nats.Conn, what string) {
	t.Helper()
	m, err := nc.Request("$JS.API."+what, nil, patience)
	if err != nil || strings.Contains(string(m.Data), `"error"`) {
		t.Fatalf("%s: %v, %v", what, m, err)
	}
}

// NATS ends and comes back with its files: clients recover nevertheless.
func TestNATSIsRestartedWithItsFiles(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	servers := newRecoveringServers(t, s, 2, natsadapter.JetStreamOptions{})
	var v visitor
	v.visit(t, servers[0])
	s.stop()
	eventually(t, "the loss is seen", func() bool { return !servers[0].Cluster().Healthy && !servers[1].Cluster().Healthy })
	servers[1].say(t, "meanwhile")
	s.start()
	hearEachOther(t, servers...)
	eventually(t, "it is stored", func() bool { return stored(t, servers[0].nc, "sio") >= 2 })
	if !v.connect(t, servers[0]) {
		t.Fatal("not recovered")
	}
	v.until(t, "meanwhile")
	for _, srv := range servers {
		if st := srv.Cluster(); st.Gaps > 0 {
			t.Errorf("status %+v", st)
		}
	}
}

// While JetStream is not there, clients get events nevertheless. Nobody recovers what is outside
// of the stream. When JetStream is back, clients recover again.
func TestJetStreamIsAway(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	servers := newRecoveringServers(t, s, 2, natsadapter.JetStreamOptions{AckTimeout: time.Second})
	var away, stays visitor
	away.connect(t, servers[0])
	stays.connect(t, servers[1])
	servers[0].say(t, "first")
	away.until(t, "first")
	stays.until(t, "first")
	away.leave(t, servers[0].nc, "sio")

	// No stream takes the messages. (The server's own functions to end JetStream and to begin
	// it again have a data race.)
	nc := s.connect(t)
	setSubjects(t, nc, "another")
	const n = 50
	for i := range n {
		servers[i%2].say(t, fmt.Sprint("away ", i))
	}
	for i, server := range servers { // there is no order between servers
		last := fmt.Sprint("last ", i)
		server.say(t, last)
		if !slices.Contains(stays.got, last) {
			stays.until(t, last)
		}
	}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint("away ", i))
	}
	for first := range 2 { // each server's in order
		var of []string
		for i := first; i < n; i += 2 {
			of = append(of, want[i])
		}
		got := slices.DeleteFunc(slices.Clone(stays.got), func(what string) bool { return !slices.Contains(of, what) })
		if !slices.Equal(got, of) {
			t.Errorf("got %q, want %q", got, of)
		}
	}
	eventually(t, "it is told", func() bool { return !servers[0].Cluster().Healthy && !servers[1].Cluster().Healthy })
	if err := servers[0].Cluster().Err; !strings.Contains(err.Error(), "JetStream cannot be used") {
		t.Error(err)
	}

	setSubjects(t, nc, "sio.l.>")
	hearEachOther(t, servers...)
	if away.connect(t, servers[1]) {
		t.Fatalf("recovered across what is outside of the stream, with %q", away.got)
	}
	away.offset = ""
	servers[0].say(t, "new")
	away.until(t, "new")
	stays.until(t, "new")
	if away.offset == "" {
		t.Fatal("the event has no offset")
	}
	away.leave(t, servers[0].nc, "sio")
	servers[1].say(t, "missed")
	if !away.connect(t, servers[0]) {
		t.Fatal("not recovered")
	}
	away.until(t, "missed")
}

// A stream that takes messages and does not say so, as one without a quorum, delays only those
// that were on their way.
func TestJetStreamDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	servers := newRecoveringServers(t, s, 2, natsadapter.JetStreamOptions{AckTimeout: time.Second})
	var here, there visitor
	here.connect(t, servers[0])
	there.connect(t, servers[1])
	servers[0].say(t, "first")
	here.until(t, "first")
	there.until(t, "first")
	nc := s.connect(t)
	if _, err := nc.Subscribe("sio.l.>", func(*nats.Msg) {}); err != nil { // so that nobody says that there is no stream
		t.Fatal(err)
	}
	if err := nc.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
	if err := s.srv.DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	servers[0].say(t, "lost")
	eventually(t, "the loss is counted", func() bool { return servers[0].Cluster().Lost > 0 })
	servers[0].say(t, "outside")
	here.until(t, "outside")
	there.until(t, "outside")
	if slices.Contains(there.got, "lost") {
		t.Errorf("got %q", there.got)
	}
}

// Who can read everything that servers publish does not know how to continue a session.
func TestPrivateIDsAreNotPublished(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	nc := s.connect(t)
	seen := make(chan *nats.Msg, 10_000)
	if _, err := nc.ChanSubscribe(">", seen); err != nil {
		t.Fatal(err)
	}
	if err := nc.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
	servers := newRecoveringServers(t, s, 1, natsadapter.JetStreamOptions{})
	var v visitor
	v.visit(t, servers[0])
	if err := nc.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
	sessions := 0
	for len(seen) > 0 {
		m := <-seen
		if strings.Contains(m.Subject+string(m.Data), v.pid) {
			t.Errorf("the private id is in %s: %s", m.Subject, m.Data)
		}
		if strings.HasPrefix(m.Subject, "sio.c.") {
			sessions++
		}
	}
	if sessions == 0 {
		t.Error("no session was seen")
	}
}

// The rights of docs/clustering.md are all that servers and emitters need.
func TestJetStreamPermissions(t *testing.T) {
	t.Parallel()
	rights := func(publish, subscribe []string) *server.Permissions {
		return &server.Permissions{
			Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe},
		}
	}
	s := startJetStream(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "admin", Password: "p"},
			{Username: "server", Password: "p", Permissions: rights([]string{
				"sio.>", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.*",
			}, []string{"sio.>"})},
			{Username: "job", Password: "p", Permissions: rights([]string{"sio.l./"}, []string{"_INBOX.>"})},
		}
	})
	as := func(user string) *nats.Conn { return s.connect(t, nats.UserInfo(user, "p")) }
	admin := as("admin")
	first := newRecoveringServer(t, as("server"), natsadapter.JetStreamOptions{})
	hearEachOther(t, first)
	eventually(t, "the streams are there", func() bool { return streamExists(admin, "sio-sessions") })
	servers := []*recoveringServer{first, newRecoveringServer(t, as("server"), natsadapter.JetStreamOptions{})}
	hearEachOther(t, servers...)
	e := natsadapter.NewJetStreamEmitter(as("job"))
	var v visitor
	v.connect(t, servers[0])
	must(t, e.Emit(t.Context(), "n", "first"))
	v.until(t, "first")
	v.leave(t, admin, "sio")
	servers[1].say(t, "missed")
	if !v.connect(t, servers[1]) {
		t.Fatal("not recovered")
	}
	v.until(t, "missed")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := e.Of("/admin").Emit(ctx, "refused"); err == nil {
		t.Error("an emitter may emit to another namespace")
	}
	for _, srv := range servers {
		if err := srv.nc.LastError(); err != nil {
			t.Error(err)
		}
	}
}

// What a server has read itself, it does not ask JetStream for again, message by message.
func TestMissedMessagesComeFromMemory(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	servers := newRecoveringServers(t, s, 2, natsadapter.JetStreamOptions{})
	var v visitor
	v.visit(t, servers[0])
	const missed = 200
	for i := range missed {
		servers[0].say(t, fmt.Sprint(i))
	}
	eventually(t, "they are stored", func() bool { return stored(t, servers[0].nc, "sio") > missed })
	asked, err := s.connect(t).SubscribeSync("$JS.API.DIRECT.GET.sio")
	if err != nil {
		t.Fatal(err)
	}
	if !v.connect(t, servers[1]) {
		t.Fatal("not recovered")
	}
	v.until(t, fmt.Sprint(missed-1))
	if len(v.got) != missed+1 {
		t.Errorf("got %d events", len(v.got))
	}
	n, _, err := asked.Pending()
	if err != nil || n == 0 || n > missed/4 {
		t.Errorf("JetStream was asked %d times for %d messages, %v", n, missed, err)
	}
}
