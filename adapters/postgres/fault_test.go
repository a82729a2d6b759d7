package postgresadapter_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	"github.com/sioplug/sioplug/internal/postgrestest"
)

// CAP-F-11: PostgreSQL ends and comes back. What is said meanwhile arrives in order, when all
// are back, and once.
func TestPostgreSQLIsAway(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	a, b := join(t, newServer(connect(t, s.URL))), join(t, newServer(connect(t, s.URL)))
	whole(t, a, b)
	a.publish("before")
	b.expect("before")
	s.Stop()
	eventually(t, "the loss is seen", func() bool { return !a.cluster.Status().Healthy && !b.cluster.Status().Healthy })
	const n = 200
	for i := range n {
		a.publish(fmt.Sprint(i))
	}
	s.Restart()
	for i := range n {
		b.expect(fmt.Sprint(i))
	}
	whole(t, a, b)
	for _, x := range []*node{a, b} {
		if st := x.cluster.Status(); st.Gaps != 1 || st.Lost > 1 || !x.toldOf("PostgreSQL") || !x.told(nil) {
			t.Errorf("gaps %d, lost %d, told %v", st.Gaps, st.Lost, x.errs)
		}
	}
}

// CAP-F-11: the sessions of a server that emits are ended again and again. Nothing comes twice or
// out of order, and all that is missing is counted.
func TestSessionsAreTerminated(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	a, b := join(t, newServer(connect(t, s.URL+"&application_name=a"))), join(t, newServer(connect(t, s.URL)))
	whole(t, a, b)
	const n = 2000
	for i := range n {
		if i%400 == 200 {
			eventually(t, "there are sessions to end", func() bool { return s.Terminate("application_name = 'a'") > 0 })
		}
		a.publish(fmt.Sprint(i))
	}
	whole(t, a, b)
	a.publish("end")
	last, missing := -1, n
	for {
		got := <-b.got
		if got == `["end"]` {
			break
		}
		i := 0
		if _, err := fmt.Sscanf(got, `["%d"]`, &i); err != nil || i <= last {
			t.Fatalf("got %s after %d", got, last)
		}
		last = i
		missing--
	}
	if st := a.cluster.Status(); uint64(missing) > st.Lost || st.Gaps == 0 {
		t.Errorf("%d are missing, %d counted as lost, %d gaps", missing, st.Lost, st.Gaps)
	}
}

// A server that was deaf for a moment listens again, and knows that it may have missed something.
func TestDeafServersListenAgain(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	a, b := join(t, newServer(connect(t, s.URL))), join(t, newServer(connect(t, s.URL+"&application_name=b")))
	whole(t, a, b)
	for i := range 3 {
		eventually(t, "there are sessions to end", func() bool { return s.Terminate("application_name = 'b'") > 0 })
		eventually(t, "the gap is counted", func() bool { return b.cluster.Status().Gaps > uint64(i) })
		whole(t, a, b)
		a.publish(fmt.Sprint(i))
		b.expect(fmt.Sprint(i))
	}
	if !b.toldOf("may have been missed") {
		t.Errorf("told %v", b.errs)
	}
}

// CF-10: PostgreSQL hangs. What is emitted meanwhile arrives afterwards, and nothing is lost.
func TestPostgreSQLHangs(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	o := postgresadapter.Options{Options: cluster.Options{HeartbeatInterval: 500 * time.Millisecond, HeartbeatTimeout: time.Minute}, ReadTimeout: time.Hour}
	a, b := join(t, newServer(connect(t, s.URL), o)), join(t, newServer(connect(t, s.URL), o))
	whole(t, a, b)
	goOn := s.Hang()
	const n = 3000
	for i := range n {
		a.publish(fmt.Sprint(i))
	}
	eventually(t, "it is told", func() bool { return a.toldOf("the broker does not answer") && b.toldOf("the broker does not answer") })
	goOn()
	for i := range n {
		b.expect(fmt.Sprint(i))
	}
	whole(t, a, b)
	for _, x := range []*node{a, b} {
		if st := x.cluster.Status(); st.Gaps != 0 || st.Lost != 0 {
			t.Errorf("gaps %d, lost %d, told %v", st.Gaps, st.Lost, x.errs)
		}
	}
}

// A PostgreSQL that hangs for longer than ReadTimeout is given up, and used again when it goes on.
func TestAHungPostgreSQLIsGivenUp(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	o := postgresadapter.Options{ReadTimeout: 2 * time.Second}
	o.HeartbeatTimeout = 2 * time.Hour
	a := join(t, newServer(connect(t, s.URL), o))
	o.HeartbeatInterval = time.Hour // it publishes nothing, so the connection that listens is given up
	b := join(t, newServer(connect(t, s.URL), o))
	whole(t, a, b)
	goOn := s.Hang()
	a.publish("on its way")
	eventually(t, "it is told", func() bool { return a.toldOf("for the time of ReadTimeout") && b.toldOf("for the time of ReadTimeout") })
	goOn()
	whole(t, a, b)
	a.publish("after")
	got := <-b.got
	if got == `["on its way"]` { // the session took it before it was ended
		got = <-b.got
	}
	if got != `["after"]` {
		t.Errorf("got %s", got)
	}
	if st := a.cluster.Status(); st.Lost == 0 {
		t.Error("what was on its way is not counted as lost")
	}
	if st := b.cluster.Status(); st.Gaps != 1 {
		t.Errorf("%d gaps", st.Gaps)
	}
}

// A server ends also while PostgreSQL hangs.
func TestCloseWhilePostgreSQLHangs(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	a := join(t, newServer(connect(t, s.URL)))
	eventually(t, "it is connected", func() bool { return a.cluster.Status().Healthy })
	goOn := s.Hang()
	a.publish("waits")
	began := time.Now()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d > 20*time.Second { // 2 s for the queue, and 2 s for each connection
		t.Errorf("it took %v", d)
	}
	goOn()
	if st := a.cluster.Status(); st.Lost == 0 {
		t.Errorf("%+v", st)
	}
}

// CF-9: a process that is killed is not waited for until its heartbeats are missed.
func TestProcessesThatAreKilled(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	a := join(t, newServer(connect(t, s.URL), postgresadapter.Options{Options: cluster.Options{HeartbeatTimeout: time.Hour}}))
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), childURL+"="+s.URL)
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other process answers", func() bool {
		clients, err := a.ask(time.Second)
		return clients == 1 && err == nil
	})
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait() // it was killed
	if clients, err := a.ask(patience); clients != 0 || err != nil {
		t.Errorf("%d clients, error %v", clients, err)
	}
	eventually(t, "it is struck off", func() bool { return len(a.cluster.Status().Members) == 0 && a.toldOf("is gone or silent") })
}

// A server that reads too slowly drops what does not fit, and says so. PostgreSQL does not keep
// it for the server.
func TestSlowConsumers(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	block := make(chan struct{})
	a := join(t, newServer(connect(t, s.URL)))
	b := joinNamespace(t, newServer(connect(t, s.URL), postgresadapter.Options{MaxPendingBytes: 256 << 10}), "/", block)
	eventually(t, "they know each other", func() bool { return len(a.cluster.Status().Members) == 1 && len(b.cluster.Status().Members) == 1 })
	const n = 3000
	text := strings.Repeat("x", 200)
	for i := range n {
		if i%50 == 0 {
			a.send(binary(text, 1000))
		} else {
			a.publish(text)
		}
	}
	eventually(t, "all is sent, and the gap is counted", func() bool { return a.cluster.Status().Queued == 0 && b.cluster.Status().Gaps > 0 })
	close(block)
	eventually(t, "it is told", func() bool { return b.toldOf("reads them too slowly") })
	whole(t, a, b)
	if len(b.got) >= n {
		t.Error("nothing was dropped")
	}
}
