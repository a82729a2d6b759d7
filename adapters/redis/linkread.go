package redisadapter

// read takes what Redis sends over a connection, until that fails.
func (l *link) read(c *conn) error {
	r := newReplyReader(c)
	for {
		v, err := r.next()
		if err != nil {
			return err
		}
		if !l.received.Load() {
			l.received.Store(true)
		}
		switch {
		case v.kind == '-':
			err = l.failedCommand(v.err())
		case v.kind == '*' && len(v.items) > 0:
			err = l.push(&v)
		}
		if err != nil {
			return err
		}
	}
}

const (
	ofMessage  = 3 // elements: "message", channel, payload
	ofPattern  = 4 // elements: "pmessage", pattern, channel, payload
	ofResponse = 3 // elements: "subscribe", channel, number
)

// push takes what Redis sends to a subscriber.
func (l *link) push(v *reply) error {
	switch string(v.items[0].text) {
	case "message":
		l.message(channel, ofMessage, v)
	case "pmessage":
		l.message(pattern, ofPattern, v)
	case "smessage":
		l.message(shard, ofMessage, v)
	case "subscribe":
		return l.acknowledged(channel, true, v)
	case "psubscribe":
		return l.acknowledged(pattern, true, v)
	case "ssubscribe":
		return l.acknowledged(shard, true, v)
	case "unsubscribe":
		return l.acknowledged(channel, false, v)
	case "punsubscribe":
		return l.acknowledged(pattern, false, v)
	case "sunsubscribe":
		return l.acknowledged(shard, false, v)
	}
	return nil // the answer to PING, or something of a later version of Redis
}

// message passes a message on.
func (l *link) message(kind topicKind, elements int, v *reply) {
	if len(v.items) != elements {
		l.owner.refused(errProtocol)
		return
	}
	var to target
	l.mu.Lock()
	e := l.entries[topic{kind, string(v.items[1].text)}]
	wanted := e != nil && e.wanted
	if wanted {
		to = e.target
	}
	l.mu.Unlock()
	switch {
	case !wanted: // just unsubscribed
	case v.large:
		l.owner.refused(errTooLarge)
	default:
		l.owner.message(to, v.items[elements-2].text, v.items[elements-1].text)
	}
}

// acknowledged takes the reply to a command, or the news that Redis has ended a
// subscription.
func (l *link) acknowledged(kind topicKind, subscribed bool, v *reply) error {
	if len(v.items) != ofResponse {
		return errProtocol
	}
	t := topic{kind, string(v.items[1].text)}
	l.mu.Lock()
	e := l.entries[t]
	if len(l.waiting) == 0 || l.waiting[0] != (request{t, subscribed}) {
		ended := e != nil && e.sent && !subscribed
		if ended { // without a command: its slot has moved
			e.sent = false
			l.noteLocked(t)
		}
		l.mu.Unlock()
		if ended {
			l.owner.gone(l, t)
		}
		return nil
	}
	confirmed, initialised := l.repliedLocked(e, subscribed)
	l.mu.Unlock()
	if confirmed {
		l.owner.confirmed(l, t)
	}
	if initialised {
		l.owner.up(l)
	}
	return nil
}

// repliedLocked removes the first of the commands that wait for a reply.
func (l *link) repliedLocked(e *entry, subscribed bool) (confirmed, initialised bool) {
	t := l.waiting[0].topic
	l.waiting = l.waiting[1:]
	if len(l.waiting) == maxWaiting/2 && len(l.dirty) > 0 {
		l.wakeLocked()
	}
	if e != nil {
		e.outstanding--
		confirmed = subscribed && e.sent && e.outstanding == 0
		if !e.wanted && !e.sent && e.outstanding == 0 {
			delete(l.entries, t)
		}
	}
	if l.initial != nil {
		delete(l.initial, t)
		if len(l.initial) == 0 {
			l.initial, initialised = nil, true
		}
	}
	return confirmed, initialised
}

// failedCommand takes an error. If that is not about a slot that another server has, the
// connection ends, and the next one tries again.
func (l *link) failedCommand(err error) error {
	l.mu.Lock()
	if len(l.waiting) == 0 {
		l.mu.Unlock()
		return nil // the reply to PING: an ACL may not allow it
	}
	r := l.waiting[0]
	e := l.entries[r.topic]
	if e != nil && r.subscribe {
		e.sent = false
	}
	_, initialised := l.repliedLocked(e, false)
	l.mu.Unlock()
	if r.subscribe && !l.owner.moved(l, r.topic, err) {
		return err
	}
	if initialised {
		l.owner.up(l)
	}
	return nil
}
