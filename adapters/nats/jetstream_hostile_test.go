package natsadapter_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
	natsadapter "github.com/sioplug/sioplug/adapters/nats"
)

// Numbers that the stream has not reached are forged, or of a stream that was deleted. Nobody
// looks for the messages before them.
func TestForgedNumbersDoNotStopTheReader(t *testing.T) {
	t.Parallel()
	s := startPrepared(t)
	a, b := join(t, newJetServer(s.connect(t))), join(t, newJetServer(s.connect(t)))
	whole(t, a, b)
	nc := s.connect(t)
	for i, number := range []string{"18446744073709551615", "1000", "100000"} {
		m := &nats.Msg{Subject: "sio.k./", Data: []byte("forged"), Header: nats.Header{"Nats-Sequence": {number}}}
		must(t, nc.PublishMsg(m))
		must(t, nc.FlushTimeout(patience))
		a.publish(fmt.Sprint(i))
		b.expect(fmt.Sprint(i))
	}
	if st := b.cluster.Status(); st.Gaps > 0 || !st.Healthy {
		t.Errorf("status %+v", st)
	}
}

// NATS comes back with older files: what was before has been passed on already, and is not again.
func TestStreamsThatLoseTheirEndRepeatNothing(t *testing.T) {
	t.Parallel()
	dir, backup := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	s := startJetStream(t, func(o *server.Options) { o.StoreDir = dir })
	s.prepare(t, natsadapter.JetStreamOptions{})
	a, b := join(t, newJetServer(s.connect(t))), join(t, newJetServer(s.connect(t)))
	whole(t, a, b)
	restart := func(change func()) {
		t.Helper()
		s.stop()
		eventually(t, "the loss is seen", func() bool { return !a.cluster.Status().Healthy && !b.cluster.Status().Healthy })
		change()
		s.start()
		whole(t, a, b)
	}
	say := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			a.publish(text)
			b.expect(text)
		}
	}
	say("0", "1", "2")
	restart(func() { must(t, os.CopyFS(backup, os.DirFS(dir))) })
	say("3", "4", "5", "6", "7", "8")
	restart(func() {
		must(t, os.RemoveAll(filepath.Join(dir, "jetstream")))
		must(t, os.CopyFS(dir, os.DirFS(backup)))
	})
	say("9", "10")
	eventually(t, "it is a gap", func() bool { return b.cluster.Status().Gaps > 0 })
}

var sender = regexp.MustCompile(`"uid":"(.+?)"`)

// A message outside of the stream makes those of its server in the stream count as lost, until
// its fence. If a stranger has forged it, the server puts one, too.
func TestForgedSendersAreHeardAgain(t *testing.T) {
	t.Parallel()
	s := startPrepared(t)
	a, b := join(t, newJetServer(s.connect(t))), join(t, newJetServer(s.connect(t)))
	whole(t, a, b)
	nc := s.connect(t)
	sub, err := nc.SubscribeSync("sio.k./")
	must(t, err)
	must(t, nc.FlushTimeout(patience))
	a.publish("first")
	b.expect("first")
	m, err := sub.NextMsg(patience)
	must(t, err)
	id := sender.FindSubmatch(m.Data)
	if id == nil {
		t.Fatalf("message %q", m.Data)
	}
	must(t, nc.Publish("sio.n./", m.Data))
	b.expect("first")
	eventually(t, "it is heard again", func() bool {
		a.publish("again")
		return len(b.got) > 0
	})
}

// A server that only says that it is there, while the stream cannot be used, has sent nothing that
// others cannot recover.
func TestHeartbeatsOutsideCostNoSessions(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	o := natsadapter.JetStreamOptions{Options: cluster.Options{HeartbeatInterval: 100 * time.Millisecond}}
	servers := newRecoveringServers(t, s, 2, o)
	var v visitor
	v.connect(t, servers[0])
	servers[0].say(t, "first")
	v.until(t, "first")
	v.leave(t, servers[0].nc, "sio")
	nc := s.connect(t)
	setSubjects(t, nc, "sio.l.>", "another")
	eventually(t, "it is told", func() bool { return !servers[0].Cluster().Healthy && !servers[1].Cluster().Healthy })
	sub, err := nc.SubscribeSync("sio.s")
	must(t, err)
	for range 8 {
		_, err := sub.NextMsg(patience)
		must(t, err)
	}
	setSubjects(t, nc, "sio.l.>")
	hearEachOther(t, servers...)
	servers[1].say(t, "missed")
	if !v.connect(t, servers[0]) {
		t.Fatal("not recovered")
	}
	v.until(t, "missed")
}

// setSubjects changes the subjects of the stream.
func setSubjects(t *testing.T, nc *nats.Conn, subjects ...string) {
	t.Helper()
	m, err := nc.Request("$JS.API.STREAM.INFO.sio", nil, patience)
	must(t, err)
	var info struct {
		Config map[string]any `json:"config"`
	}
	must(t, json.Unmarshal(m.Data, &info))
	info.Config["subjects"] = subjects
	data, err := json.Marshal(info.Config)
	must(t, err)
	m, err = nc.Request("$JS.API.STREAM.UPDATE.sio", data, patience)
	must(t, err)
	if strings.Contains(string(m.Data), `"error"`) {
		t.Fatalf("answer %s", m.Data)
	}
}
