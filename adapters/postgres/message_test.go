package postgresadapter_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/postgrestest"
)

// CAP-F-8, ECO-PG-3: messages of all sizes arrive, also around the limit of a notification, in
// order with those that go through the table. Both kinds go out in one transaction.
func TestSizes(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	a, b := join(t, newServer(connect(t, s.URL))), join(t, newServer(connect(t, s.URL)))
	whole(t, a, b)
	var want []string
	send := func(m *adapter.Message, text string) {
		a.send(m)
		want = append(want, text)
	}
	for size := 7800; size < 8050; size++ {
		text := strings.Repeat("x", size)
		send(event(text), `["`+text+`"]`)
	}
	for i, size := range []int{0, 1, 7990, 8000, 100_000, 3 << 20} {
		send(binary(strconv.Itoa(i), size), fmt.Sprintf(`["%d",{"_placeholder":true,"num":0}] %d bytes %.3x`, i, size, slices.Repeat([]byte{0xfe}, size)))
		send(event(strings.Repeat("é", size)), `["`+strings.Repeat("é", size)+`"]`)
	}
	for _, text := range want {
		b.expectRaw(text)
	}
	if st := b.cluster.Status(); st.Refused != 0 || st.Gaps != 0 || a.cluster.Status().Lost != 0 {
		t.Errorf("%+v", st)
	}
}

// PostgreSQL sends equal notifications of a transaction once. All of them arrive.
func TestEqualMessages(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	a, b := join(t, newServer(connect(t, s.URL))), join(t, newServer(connect(t, s.URL)))
	whole(t, a, b)
	const n = 1000
	for range n {
		a.publish("tick")
		a.send(binary("tock", 3))
	}
	for range n {
		b.expect("tick")
		b.expectRaw(`["tock",{"_placeholder":true,"num":0}] 3 bytes fefefe`)
	}
}

// CAP-F-9, ECO-PG-9: names of namespaces that are too long for a channel, or that SQL would
// misread, are as good as others.
func TestNamesOfNamespaces(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	one, other := connect(t, s.URL), connect(t, s.URL)
	ca, cb := newServer(one), newServer(other)
	long := "/" + strings.Repeat("n", 69)
	names := []string{"/", long, long + "x", `/"`, `/"; DROP TABLE socket_io_attachments; --`, "/'", "/\\", "/é😀", "/\x00", "/ A", "/ a", "/$1", "/%s"}
	var from, to []*node
	for _, name := range names {
		from = append(from, joinNamespace(t, ca, name, nil))
		to = append(to, joinNamespace(t, cb, name, nil))
	}
	for i, n := range from {
		eventually(t, "the other one answers", func() bool {
			clients, err := n.ask(time.Second)
			return clients == 1 && err == nil
		})
		n.publish("in " + strconv.Itoa(i))
		n.send(binary("in "+strconv.Itoa(i), 1))
	}
	for i, n := range to {
		n.expect("in " + strconv.Itoa(i))
		n.expectRaw(fmt.Sprintf(`["in %d",{"_placeholder":true,"num":0}] 1 bytes fe`, i))
		if len(n.got) > 0 {
			t.Errorf("%q got more: %s", names[i], <-n.got)
		}
	}
	// Who leaves a namespace gets nothing more from it.
	if err := to[1].Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "the other one has left", func() bool {
		clients, err := from[1].ask(time.Second)
		return clients == 0 && err == nil
	})
	if n := from[2]; n.Publish(event("still there")) != nil {
		t.Error("the next one cannot publish")
	}
	to[2].expect("still there")
	if st := cb.Status(); st.Refused != 0 {
		t.Errorf("%+v", st)
	}
}

// CF-1: what is no message is refused and counted, and the next message arrives.
func TestGarbage(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	o := postgresadapter.Options{Options: cluster.Options{HeartbeatInterval: 500 * time.Millisecond, HeartbeatTimeout: 2 * time.Second}}
	a, b := join(t, newServer(connect(t, s.URL), o)), join(t, newServer(connect(t, s.URL), o))
	whole(t, a, b)
	s.SQL("INSERT INTO socket_io_attachments (id, payload) VALUES (1001, NULL), (1002, ''), (1003, 'x'), (1004, '\\xc1'), (1005, '{}'), (1006, '{\"type\":3}')")
	forged := `{"type":6,"data":{"opts":{"rooms":[],"except":[]},"close":true},"uid":"x","nsp":"/"}`
	refused := map[string][]string{
		"socket.io#/": {
			"", " ", "{", "{}", "[]", "null", "garbage", `{"type":3,"uid":"x"}`, `{"type":"3"}`, `{"type":1e99}`,
			`{"type":3,"data":{"opts":{},"packet":{"type":2,"data":["x"]}},"uid":"x","nsp":"/other"}`,
			`{"type":3,"data":{"opts":{},"packet":{"type":2,"data":[]}},"uid":"x","nsp":"/"}`,
			`{"attachmentId":"999999"}`, `{"attachmentId":""}`, `{"attachmentId":"-1"}`, `{"attachmentId":{}}`, `{"attachmentId":"9999999999999999999999"}`,
			`{"attachmentId":"1001"}`, `{"attachmentId":"1002"}`, `{"attachmentId":"1003"}`, `{"attachmentId":"1004"}`, `{"attachmentId":"1005"}`, `{"attachmentId":"1006"}`,
			strings.Repeat("[", 7000), strings.Repeat(`{"a":`, 1500),
		},
		"socket.io-nodes#":                       {forged, "{}"},
		"socket.io#" + b.cluster.Status().Server: {forged, "x"},
	}
	n := 0
	for channel, all := range refused {
		for _, payload := range all {
			n++
			s.SQL(fmt.Sprintf("SELECT pg_notify('%s', '%s')", channel, payload))
		}
	}
	s.SQL(`SELECT pg_notify('socket.io#/', '{"type":13,"uid":"` + a.cluster.Status().Server + `","nsp":"/"}'), pg_notify('socket.io#/nobody', 'x')`)
	a.publish("after")
	b.expect("after")
	if st := b.cluster.Status(); st.Refused != uint64(n) || !st.Healthy || len(st.Members) != 1 {
		t.Errorf("%d of %d are refused: %+v", st.Refused, n, st)
	}
	whole(t, a, b)
	eventually(t, "it is told", func() bool { return b.toldOf("messages from the broker were refused") })
}

// What PostgreSQL refuses is lost alone, and counted.
func TestRefusedRows(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	s.SQL(`CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''too large for us''; END'`)
	s.SQL(`CREATE TRIGGER no BEFORE INSERT ON socket_io_attachments FOR EACH ROW WHEN (octet_length(NEW.payload) > 50000) EXECUTE FUNCTION no()`)
	a, b := join(t, newServer(connect(t, s.URL))), join(t, newServer(connect(t, s.URL)))
	whole(t, a, b)
	for i := range 40 {
		a.publish(strconv.Itoa(i))
		if i == 20 {
			a.send(binary("refused", 60_000))
		}
	}
	for i := range 40 {
		b.expect(strconv.Itoa(i))
	}
	eventually(t, "it is told", func() bool { return a.toldOf("PostgreSQL refuses a message") && a.toldOf("too large for us") })
	whole(t, a, b)
	if st := a.cluster.Status(); st.Lost != 1 {
		t.Errorf("%d are lost", st.Lost)
	}
}

// A message above half of MaxPendingBytes might be dropped by all servers, so it is not sent. One
// that is a little smaller arrives.
func TestTooLargeMessages(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	o := postgresadapter.Options{MaxPendingBytes: 100_000}
	a, b := join(t, newServer(connect(t, s.URL), o)), join(t, newServer(connect(t, s.URL), o))
	whole(t, a, b)
	if err := a.Publish(binary("large", 50_000)); !errors.Is(err, cluster.ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	a.send(binary("less", 49_000))
	b.expectRaw(`["less",{"_placeholder":true,"num":0}] 49000 bytes fefefe`)
}
