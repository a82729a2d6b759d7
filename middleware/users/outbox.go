package users

import (
	"strings"
	"time"

	"github.com/sioplug/sioplug/internal/own"
	"github.com/sioplug/sioplug/internal/rescue"
)

const (
	// flushDelay is how long changes wait for others, to be sent together.
	flushDelay = 10 * time.Millisecond

	// A message has no more than maxIDs users, and about maxBytes bytes.
	maxIDs   = 500
	maxBytes = 32 << 10
)

// A message is what servers tell each other.
type message struct {
	Server  string   `json:"server"`
	Kind    kind     `json:"kind"`
	Version uint64   `json:"version"`
	On      []string `json:"on,omitempty"`   // who has come; in a list, those for whom OnOnline was called
	New     []string `json:"new,omitempty"`  // in a list, the others
	Off     []string `json:"off,omitempty"`  // who has gone
	To      string   `json:"to,omitempty"`   // the server that is asked; "" for all
	Run     uint64   `json:"run,omitempty"`  // of a list: the number of the list, which its parts have in common
	Part    int      `json:"part,omitempty"` // of a list, from 0
	More    bool     `json:"more,omitempty"` // more parts of the list follow
	Late    int64    `json:"late,omitempty"` // in a heartbeat and a bye: how long calls have waited, in milliseconds
}

// maxLate is for a server whose functions hang.
const maxLate = 24 * time.Hour

func (m *message) late() time.Duration {
	return time.Duration(min(max(m.Late, 0), maxLate.Milliseconds())) * time.Millisecond
}

type kind string

const (
	kindBeat   kind = "here"   // the server is there
	kindChange kind = "change" // users have come or gone
	kindList   kind = "list"   // all users of the server
	kindAsk    kind = "ask"    // another server needs the list
	kindBye    kind = "bye"    // the server shuts down
)

// valid reports whether a message can be used. JSON has made the text valid UTF-8.
func (m *message) valid() bool {
	switch m.Kind {
	case kindBeat, kindChange, kindList, kindAsk, kindBye:
	default:
		return false
	}
	if m.Server == "" || len(m.Server) > maxServerID || m.Part < 0 || m.Kind == kindChange && m.Version == 0 {
		return false
	}
	n := 0
	for _, ids := range [][]string{m.On, m.New, m.Off} {
		for i, id := range ids {
			if isNobody(id) || len(id) > MaxID {
				return false
			}
			ids[i] = strings.Clone(id)
		}
		n += len(ids)
	}
	return n <= maxIDs
}

// An outbox has what this server has to tell others.
type outbox struct {
	version  uint64 // of this server's users
	flushing bool   // a timer will send what there is
	sending  bool   // a goroutine sends it
	silent   bool   // the adapter does not work yet
	beating  bool   // a timer will send a heartbeat
	listing  bool   // a timer will send the list
	wantBeat bool
	wantBye  bool
	wantList bool
	askAll   bool
	toAsk    []string
	called   time.Time // when this server made its last call
	listed   time.Time // when the list was sent
	run      uint64    // how often
}

// sayLaterLocked sends what there is to say in a moment.
func (u *Users) sayLaterLocked() { u.flushLaterLocked(&u.flushing, flushDelay, func() {}) }

// flushLaterLocked runs f, which gets the lock, and sends what there is to say, after some
// time. It does nothing if it has done that already, which the flag notes.
func (u *Users) flushLaterLocked(flag *bool, after time.Duration, f func()) {
	if *flag {
		return
	}
	*flag = true
	time.AfterFunc(after, func() {
		u.mu.Lock()
		*flag = false
		f()
		u.mu.Unlock()
		u.flush()
	})
}

// beatSoonLocked sends a heartbeat soon, since a call is made: see owed.go. If there are more
// calls meanwhile, it sends another one.
func (u *Users) beatSoonLocked() {
	if u.clustered && !u.opts.EveryServer {
		u.called = time.Now()
		u.beatLaterLocked()
	}
}

func (u *Users) beatLaterLocked() {
	const delay = 2 * owedMargin
	u.flushLaterLocked(&u.beating, delay, func() {
		u.wantBeat = true
		if time.Since(u.called) < delay {
			u.beatLaterLocked()
		}
	})
}

// flush sends what there is to say, in an order that others can rely on: one goroutine
// sends, and it sends changes in the order of their versions.
func (u *Users) flush() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sending || u.silent {
		return
	}
	u.sending = true
	defer func() { u.sending = false }()
	for messages := u.takeLocked(); len(messages) > 0; messages = u.takeLocked() {
		u.sendUnlocked(messages)
	}
}

// sendUnlocked sends messages. The caller holds the lock; it is released meanwhile. An
// error can be ignored: the version of the next heartbeat tells others what they miss.
func (u *Users) sendUnlocked(messages []*message) {
	u.mu.Unlock()
	defer u.mu.Lock()
	_ = rescue.Apart(func() error {
		for _, m := range messages {
			_ = u.ns.OwnServerSideEmit(own.Users, m) // see above
		}
		return nil
	})
}

// takeLocked returns what is to be sent now.
func (u *Users) takeLocked() []*message {
	messages := u.takeChangesLocked()
	if u.wantList {
		if wait := askInterval - time.Since(u.listed); wait > 0 {
			u.flushLaterLocked(&u.listing, wait, func() {})
		} else {
			u.wantList, u.listed = false, time.Now()
			messages = append(messages, u.listLocked()...)
		}
	}
	if u.askAll {
		messages = append(messages, &message{Kind: kindAsk})
	}
	for _, id := range u.toAsk {
		messages = append(messages, &message{Kind: kindAsk, To: id})
	}
	if u.wantBeat {
		messages = append(messages, &message{Kind: kindBeat, Version: u.version, Late: u.lateLocked()})
	}
	if u.wantBye {
		messages = append(messages, &message{Kind: kindBye, Version: u.version, Late: u.lateLocked()})
	}
	u.askAll, u.toAsk, u.wantBeat, u.wantBye = false, nil, false, false
	for _, m := range messages {
		m.Server = u.self
	}
	return messages
}

// A packer puts ids into messages of a limited size.
type packer struct {
	messages []*message
	ids      int
	bytes    int
}

// next returns the message that an id is added to.
func (p *packer) next(id string, open func() *message) *message {
	if len(p.messages) == 0 || p.ids == maxIDs || p.bytes+len(id) > maxBytes {
		p.messages = append(p.messages, open())
		p.ids, p.bytes = 0, 0
	}
	p.ids++
	p.bytes += len(id)
	return p.messages[len(p.messages)-1]
}

func (u *Users) takeChangesLocked() []*message {
	var p packer
	open := func() *message {
		u.version++
		return &message{Kind: kindChange, Version: u.version}
	}
	for _, e := range u.unsaid {
		e.toSay = false
		if here := e.here(); here != e.said {
			m := p.next(e.id, open)
			if e.said = here; here {
				m.On = append(m.On, e.id)
			} else {
				m.Off = append(m.Off, e.id)
			}
		}
		u.forgetLocked(e)
	}
	u.unsaid = nil
	return p.messages
}

// listLocked returns the users of this server that others know, in one message or more.
func (u *Users) listLocked() []*message {
	var p packer
	u.run++
	open := func() *message {
		return &message{Kind: kindList, Version: u.version, Run: u.run, Part: len(p.messages), More: true}
	}
	for id, e := range u.entries {
		if !e.said {
			continue
		}
		m := p.next(id, open)
		if e.told {
			m.On = append(m.On, id)
		} else {
			m.New = append(m.New, id)
		}
	}
	if len(p.messages) == 0 {
		p.messages = append(p.messages, open())
	}
	p.messages[len(p.messages)-1].More = false
	return p.messages
}
