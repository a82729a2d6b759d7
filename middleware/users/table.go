package users

import (
	"container/list"
	"sync"
	"time"
)

// maxLeaving is how many users without a socket of this server wait for the end of the
// grace time. Beyond that, it ends earlier for the first ones.
const maxLeaving = 100_000

// A table has the users that this server knows of.
//
// Two things follow the entries: the calls of OnOnline and OnOffline, and what other
// servers are told. Neither keeps a list of changes. An entry knows what was said of it
// last, and it is put on a list when that is not true any more. So memory is bounded by the
// number of users, whatever is slow.
type table struct {
	mu          sync.Mutex
	entries     map[string]*entry
	onlineCount int
	leaving     list.List // of entries, in the order in which their grace time ends
	timing      bool      // a timer runs for the first of them, or one that was the first

	untold  []*entry // OnOnline or OnOffline has to be called
	calling bool
	oldest  time.Time // since when the call has waited that is being made
	skipped time.Time // likewise for the first one that was not made, because this server shuts down

	unsaid []*entry // other servers have to be told
}

// An entry is a user who is online, or was a moment ago.
type entry struct {
	id        string
	sockets   int           // of this server
	elsewhere int           // other servers where the user is
	grace     *list.Element // in leaving: the user was here until a moment ago
	until     time.Time     // the end of that
	returned  bool          // the user came back with a server that was not heard for some time

	told   bool      // OnOnline was called last
	unsure bool      // it may be that nobody was told, because a server has failed
	onList bool      // in untold
	listed time.Time // since when
	said   bool      // other servers know that the user is here
	toSay  bool      // in unsaid
}

func (t *table) init() { t.entries = make(map[string]*entry) }

// here reports whether the user counts as one of this server's.
func (e *entry) here() bool { return e.sockets > 0 || e.grace != nil }

func (e *entry) online() bool { return e.here() || e.elsewhere > 0 }

// change counts a socket for one user, and no longer for another one. Either may be "".
func (t *table) change(u *Users, id, was string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id != "" {
		e := t.entryLocked(id)
		t.updateLocked(u, e, func() {
			e.sockets++
			t.endGraceLocked(e)
		})
	}
	if was == "" {
		return
	}
	e := t.entries[was]
	t.updateLocked(u, e, func() {
		e.sockets--
		if e.sockets == 0 && u.opts.Grace > 0 {
			t.beginGraceLocked(u, e)
		}
	})
	for t.leaving.Len() > maxLeaving {
		t.dropFirstLocked(u)
	}
}

func (t *table) entryLocked(id string) *entry {
	e := t.entries[id]
	if e == nil {
		e = &entry{id: id}
		t.entries[id] = e
	}
	return e
}

// updateLocked runs f, which changes where the user is, and notes what follows.
func (t *table) updateLocked(u *Users, e *entry, f func()) {
	before := e.online()
	f()
	switch after := e.online(); {
	case after && !before:
		t.onlineCount++
	case before && !after:
		t.onlineCount--
	}
	if u.opts.OnOnline == nil && u.opts.OnOffline == nil {
		e.told = e.online() // there is nothing to call
	}
	if e.told != e.online() && !e.onList {
		t.enlistLocked(e)
		t.callLocked(u)
	}
	if u.clustered && e.said != e.here() && !e.toSay {
		e.toSay = true
		t.unsaid = append(t.unsaid, e)
		u.sayLaterLocked()
	}
	t.forgetLocked(e)
}

// enlistLocked puts an entry on the list of those of which OnOnline or OnOffline has to be
// called.
func (t *table) enlistLocked(e *entry) {
	e.onList, e.listed = true, time.Now()
	t.untold = append(t.untold, e)
}

// forgetLocked removes an entry of which nothing has to be said any more.
func (t *table) forgetLocked(e *entry) {
	if !e.online() && !e.told && !e.onList && !e.said && !e.toSay {
		delete(t.entries, e.id)
	}
}

func (t *table) beginGraceLocked(u *Users, e *entry) {
	e.until = time.Now().Add(u.opts.Grace)
	e.grace = t.leaving.PushBack(e)
	t.setTimerLocked(u)
}

func (t *table) endGraceLocked(e *entry) {
	if e.grace != nil {
		t.leaving.Remove(e.grace)
		e.grace = nil
	}
}

// firstLocked returns the entry whose grace time ends next, nil if there is none.
func (t *table) firstLocked() *entry {
	first := t.leaving.Front()
	if first == nil {
		return nil
	}
	return first.Value.(*entry) //nolint:forcetypeassert,errcheck // nothing else is stored
}

func (t *table) dropFirstLocked(u *Users) {
	e := t.firstLocked()
	t.updateLocked(u, e, func() { t.endGraceLocked(e) })
}

// setTimerLocked sets the timer for the entry that leaves next, unless there is one. The
// timer of an entry that has come back runs in vain.
func (t *table) setTimerLocked(u *Users) {
	if e := t.firstLocked(); e != nil && !t.timing {
		t.timing = true
		time.AfterFunc(time.Until(e.until), func() { t.onTimer(u) })
	}
}

func (t *table) onTimer(u *Users) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timing = false
	now := time.Now()
	for e := t.firstLocked(); e != nil && !e.until.After(now); e = t.firstLocked() {
		t.dropFirstLocked(u)
	}
	t.setTimerLocked(u)
}
