package sessiontest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sioplug/sioplug/core/siotest"
)

// A client is the other end of a session, and after it of another one that goes on
// where it was. It does what a program says: what is right, and what is not.
type client struct {
	t     *testing.T
	model *model
	dial  siotest.Dialer
	http  *http.Client
	name  string
	old   bool // it speaks the protocols of Socket.IO 2

	mu      sync.Mutex
	session *session

	manual bool // it polls only when it is told to
	silent bool // it answers neither pings nor questions
	paused bool // it does not read from WebSockets
	resume *sync.Cond

	begun int // sessions

	inbox map[string]*inbox // by namespace
	extra []*wsConn         // that it has no use for
}

// A session is one connection of Engine.IO as its client sees it.
type session struct {
	who        string // tells handlers from which session a socket is
	sid        string
	brokeRules bool // the client broke the rules: what it sends need not arrive
	polls      int  // under way
	posting    bool
	aborted    bool    // it has given up its requests, which the server may still work on
	queue      []item  // to be posted
	ws         *wsConn // carries the session
	probe      *wsConn // wants to
	probed     bool    // and may
	cancel     context.CancelFunc
	ctx        context.Context // of its requests
}

// An item is a packet on its way to the server, and the number of its event.
type item struct {
	packet string // as in a payload of revision 4
	number int    // -1 if it is none
}

// An inbox is what has come from a namespace.
type inbox struct {
	sid, pid, offset string
	got              []int
	half             string // of an event whose attachments are missing
	missing          int
}

func newClient(t *testing.T, m *model, d siotest.Dialer, name string, old bool) *client {
	t.Helper()
	c := &client{t: t, model: m, dial: d, http: d.HTTP(t), name: name, old: old, inbox: make(map[string]*inbox)}
	c.resume = sync.NewCond(&c.mu)
	return c
}

// begin opens a session.
func (c *client) begin(websocket bool) {
	c.begun++
	s := &session{who: fmt.Sprintf("%s.%d", c.name, c.begun)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if websocket {
		s.ws = c.newConn(s)
	}
	c.mu.Lock()
	c.session = s
	c.mu.Unlock()
	if websocket {
		s.ws.open()
	} else {
		c.poll(s)
	}
}

// place returns where the client is in a namespace, or would be.
func (c *client) place(namespace string) place {
	c.mu.Lock()
	defer c.mu.Unlock()
	return place{c.session.who, namespace}
}

func (c *client) query(s *session, transport string) []string {
	q := []string{"EIO", "4", "transport", transport, "who", s.who}
	if c.old {
		q[1] = "3"
		q = append(q, "b64", "1")
	}
	if s.sid != "" {
		q = append(q, "sid", s.sid)
	}
	return q
}

// poll starts a GET.
func (c *client) poll(s *session) {
	c.mu.Lock()
	s.polls++
	c.mu.Unlock()
	go func() {
		body, ok := c.request(s, http.MethodGet, nil)
		c.mu.Lock()
		s.polls--
		again := ok && !c.manual && s.ws == nil && !s.probed && s.polls == 0
		c.mu.Unlock()
		if !ok {
			return
		}
		for _, p := range c.split(body) {
			c.receive(s, p)
		}
		c.mu.Lock()
		again = again && s.ws == nil && !s.probed
		c.mu.Unlock()
		if again {
			c.poll(s)
		}
	}()
}

// post has a goroutine post what is queued, unless one does already.
func (c *client) post(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.posting || len(s.queue) == 0 {
		return
	}
	s.posting = true
	go c.posts(s)
}

func (c *client) posts(s *session) {
	for {
		c.mu.Lock()
		if len(s.queue) == 0 || s.sid == "" {
			s.posting = false
			c.mu.Unlock()
			return
		}
		batch := s.batch(c)
		c.mu.Unlock()
		if _, ok := c.request(s, http.MethodPost, strings.NewReader(c.join(batch))); !ok {
			c.mu.Lock()
			s.queue, s.posting = nil, false
			c.mu.Unlock()
			return
		}
		c.model.markRead(numbers(batch))
	}
}

// batch takes out what fits into one POST; a packet that is too long goes alone.
func (s *session) batch(c *client) []item {
	n := 1
	for n < len(s.queue) && len(c.join(s.queue[:n+1])) <= maxMessage {
		n++
	}
	batch := slices.Clone(s.queue[:n])
	s.queue = s.queue[n:]
	return batch
}

func numbers(items []item) []int {
	var list []int
	for _, it := range items {
		if it.number >= 0 {
			list = append(list, it.number)
		}
	}
	return list
}

// request makes a request of a session and returns the body of a good answer.
func (c *client) request(s *session, method string, body io.Reader) (string, bool) {
	r, err := http.NewRequestWithContext(s.ctx, method, c.dial.Endpoint(c.query(s, "polling")...), body)
	if err != nil {
		c.t.Errorf("a request: %v", err)
		return "", false
	}
	res, err := c.http.Do(r)
	if err != nil {
		return "", false
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err == nil && res.StatusCode == http.StatusOK
}

// send sends packets in the right way: over the connection that carries the session.
func (c *client) send(items ...item) {
	c.mu.Lock()
	s := c.session
	l := s.ws
	if l == nil {
		s.queue = append(s.queue, items...)
	}
	c.mu.Unlock()
	if l == nil {
		c.post(s)
		return
	}
	l.send(items...)
}

// mustArrive reports whether what the client sends now has to arrive.
func (c *client) mustArrive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.session.brokeRules
}

// breakRules notes that the client breaks the rules from now on.
func (c *client) breakRules() {
	c.mu.Lock()
	c.session.brokeRules = true
	who := c.session.who
	c.mu.Unlock()
	c.model.mayWait(who)
}

// drop ends all connections without a word.
func (c *client) drop() {
	c.mu.Lock()
	s := c.session
	s.brokeRules, s.aborted = true, true
	links := append([]*wsConn{s.ws, s.probe}, c.extra...)
	c.extra = nil
	c.mu.Unlock()
	s.cancel()
	for _, l := range links {
		if l != nil {
			l.close()
		}
	}
}

// receive is told every packet that comes. What comes late from a session that the
// client has left is ignored.
func (c *client) receive(s *session, p string) {
	c.mu.Lock()
	left := c.session != s
	c.mu.Unlock()
	if left {
		return
	}
	switch {
	case p == "":
	case p[0] == '0':
		var open struct{ SID string }
		if err := json.Unmarshal([]byte(p[1:]), &open); err != nil {
			c.t.Errorf("open packet %q: %v", p, err)
		}
		c.mu.Lock()
		s.sid = open.SID
		c.mu.Unlock()
		c.post(s)
	case p == "2":
		c.mu.Lock()
		silent := c.silent
		c.mu.Unlock()
		if !silent {
			c.send(item{"3", -1})
		}
	case p[0] == 'b':
		c.attachment()
	case p[0] == '4' && len(p) > 1:
		c.packet(p[1:])
	}
}

// packet is told every packet of Socket.IO.
func (c *client) packet(p string) {
	kind, rest := p[0], p[1:]
	missing := 0
	if kind == '5' || kind == '6' {
		count, after, _ := strings.Cut(rest, "-")
		missing, _ = strconv.Atoi(count)
		rest = after
	}
	namespace := "/"
	if strings.HasPrefix(rest, "/") {
		namespace, rest, _ = strings.Cut(rest, ",")
	}
	c.mu.Lock()
	in := c.inbox[namespace]
	if in == nil {
		in = new(inbox)
		c.inbox[namespace] = in
	}
	c.mu.Unlock()
	switch kind {
	case '0':
		c.connected(in, rest)
	case '2', '5':
		data := strings.TrimLeft(rest, "0123456789")
		if id := strings.TrimSuffix(rest, data); id != "" {
			c.answer(namespace, id)
		}
		if missing > 0 {
			in.half, in.missing = data, missing
			return
		}
		c.event(in, data)
	}
}

// attachment counts those of the event that waits for them.
func (c *client) attachment() {
	c.mu.Lock()
	all := slices.Collect(maps.Values(c.inbox))
	c.mu.Unlock()
	for _, in := range all { // of one goroutine at a time, as all that comes
		if in.missing > 0 {
			if in.missing--; in.missing == 0 {
				c.event(in, in.half)
			}
			return
		}
	}
}

func (c *client) connected(in *inbox, data string) {
	var ack struct{ SID, PID string }
	_ = json.Unmarshal([]byte(data), &ack) // older protocols have none
	c.mu.Lock()
	defer c.mu.Unlock()
	if ack.SID == "" || ack.SID != in.sid {
		in.got, in.offset = nil, ""
	}
	in.sid, in.pid = ack.SID, ack.PID
}

// event checks that events come once and in order.
func (c *client) event(in *inbox, data string) {
	var args []any
	if err := json.Unmarshal([]byte(data), &args); err != nil || len(args) == 0 {
		c.t.Errorf("event %q: %v", data, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if offset, ok := args[len(args)-1].(string); ok && in.pid != "" && len(args) > 1 {
		in.offset = offset
	}
	wire, ok := 0.0, len(args) > 1
	if ok {
		wire, ok = args[1].(float64)
	}
	if !ok || args[0] != "back" {
		return
	}
	number := decodeNumber(int(wire))
	if n := len(in.got); n > 0 && in.got[n-1] >= number {
		c.t.Errorf("event %d came after %d", number, in.got[n-1])
	}
	in.got = append(in.got, number)
}

// answer acknowledges an event of the server.
func (c *client) answer(namespace, id string) {
	c.mu.Lock()
	silent := c.silent
	c.mu.Unlock()
	if !silent {
		c.send(item{"43" + prefix(namespace) + id + "[]", -1})
	}
}

func prefix(namespace string) string {
	if namespace == "/" {
		return ""
	}
	return namespace + ","
}

// join makes a payload.
func (c *client) join(items []item) string {
	var b strings.Builder
	for i, it := range items {
		switch p := it.packet; {
		case !c.old && i > 0:
			b.WriteString("\x1e" + p)
		case !c.old:
			b.WriteString(p)
		default:
			if strings.HasPrefix(p, "b") {
				p = "b4" + p[1:]
			}
			b.WriteString(strconv.Itoa(len(p)) + ":" + p)
		}
	}
	return b.String()
}

// split takes a payload apart.
func (c *client) split(payload string) []string {
	if !c.old {
		return strings.Split(payload, "\x1e")
	}
	var packets []string
	for payload != "" {
		length, rest, _ := strings.Cut(payload, ":")
		n, err := strconv.Atoi(length)
		if err != nil || n > len(rest) {
			c.t.Errorf("payload %q", payload)
			return packets
		}
		p := rest[:n]
		if strings.HasPrefix(p, "b4") {
			p = "b" + p[2:]
		}
		packets, payload = append(packets, p), rest[n:]
	}
	return packets
}

// binary returns an attachment as a packet.
func binary(p []byte) item { return item{"b" + base64.StdEncoding.EncodeToString(p), -1} }
