package sessiontest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// emit makes the packets of an event with its number and a size, padding of that
// size, and attachments.
func (c *client) emit(namespace, name string, size int, ack bool, attachments []int) []item {
	number := c.model.send(c.place(namespace), c.mustArrive() && len(attachments) <= maxAttachments)
	if name == "slow" || name == "ask" {
		c.model.mayWait(c.place(namespace).who)
	}
	id := ""
	if ack {
		id = fmt.Sprint(number)
	}
	args := fmt.Sprintf(`[%q,%d,%d`, name, encodeNumber(number), size)
	if name == "number" || name == "slow" {
		args += fmt.Sprintf(`,%q`, strings.Repeat("p", min(size, maxMessage-100)))
	}
	kind := "42"
	if len(attachments) > 0 {
		kind = fmt.Sprintf("45%d-", len(attachments))
	}
	var items []item
	for i, n := range attachments {
		args += fmt.Sprintf(`,{"_placeholder":true,"num":%d}`, i)
		items = append(items, binary(make([]byte, n)))
	}
	packet := kind + prefix(namespace) + id + args + "]"
	total := len(packet)
	for _, it := range items {
		total += len(it.packet)
	}
	c.model.sized(number, total)
	// It has arrived with its last part.
	items = append([]item{{packet, -1}}, items...)
	items[len(items)-1].number = number
	return items
}

// activeConn returns the WebSocket that carries the session, or wants to; nil without.
func (c *client) activeConn() *wsConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.ws != nil {
		return c.session.ws
	}
	return c.session.probe
}

// change changes what the client does by itself.
func (c *client) change(what int) {
	c.mu.Lock()
	s := c.session
	switch what % 3 {
	case 0:
		c.manual = !c.manual
	case 1:
		c.silent = !c.silent
	case 2:
		c.paused = !c.paused
		c.resume.Broadcast()
	}
	poll := !c.manual && s.polls == 0 && s.ws == nil && !s.probed
	c.mu.Unlock()
	if poll {
		c.poll(s)
	}
}

// behave has the client do what is right from now on.
func (c *client) behave() {
	c.mu.Lock()
	c.manual, c.silent, c.paused = false, false, false
	c.resume.Broadcast()
	s := c.session
	poll := s.polls == 0 && s.ws == nil && !s.probed
	c.mu.Unlock()
	if poll {
		c.poll(s)
	}
	c.switchOver(false)
}

// abort gives up what the client waits for: its requests, and those to come.
func (c *client) abort() {
	c.breakRules()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session.aborted = true
	c.session.cancel()
}

// again opens a new session in the place of the one there is.
func (c *client) again(websocket bool) {
	c.drop()
	c.mu.Lock()
	for _, in := range c.inbox {
		in.missing = 0
	}
	c.mu.Unlock()
	c.begin(websocket)
}

// recoveryAuth is the auth payload of a client that was there before.
func (c *client) recoveryAuth(namespace string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := c.inbox[namespace]
	if in == nil || in.pid == "" {
		return ""
	}
	auth, err := json.Marshal(map[string]string{"pid": in.pid, "offset": in.offset})
	if err != nil {
		c.t.Errorf("an auth payload of our own: %v", err)
	}
	return string(auth)
}

// pollTwice sends a GET whether or not there is one.
func (c *client) pollTwice() {
	c.breakRules()
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	c.poll(s)
}

// postTwice sends two POSTs at once.
func (c *client) postTwice(body string) {
	if c.waiting() {
		return
	}
	c.breakRules()
	c.mu.Lock()
	s := c.session
	c.mu.Unlock()
	for range 2 {
		go func() { _, _ = c.request(s, http.MethodPost, strings.NewReader(body)) }()
	}
}

// waiting reports whether the server may have yet to answer a POST. The program must not
// send more by other ways then: the session would wait for the POST with a mutex, and
// fake time stands still while a goroutine waits for one of those.
func (c *client) waiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.posting || c.session.aborted
}

// second opens another WebSocket for the session and sends a packet.
func (c *client) second(packet string) {
	if c.waiting() {
		return
	}
	c.breakRules()
	c.mu.Lock()
	s := c.session
	known := s.sid != ""
	c.mu.Unlock()
	if known {
		l := c.newConn(s)
		c.mu.Lock()
		c.extra = append(c.extra, l)
		c.mu.Unlock()
		l.send(item{packet, -1})
		l.open()
	}
}
