package users

import "time"

// A server that has failed cannot call OnOnline and OnOffline for what it was responsible
// for. Until others know that it has failed, they leave these calls to it. So each server
// notes which calls it has left to whom. A heartbeat says that the calls were made, but for
// those of the last moment. If the server fails or leaves, another one makes the calls that
// are left.

// owedMargin is how much older than a heartbeat a call is that the server has made for sure.
const owedMargin = 500 * time.Millisecond

// An owed call is one that another server was left to make.
type owedCall struct {
	online bool
	since  time.Time
}

// owesLocked notes that p has to make the call about a user.
func (u *Users) owesLocked(p *peer, id string, online bool) {
	if p.owed == nil {
		p.owed = make(map[string]owedCall)
	}
	if _, ok := p.owed[id]; ok || len(p.owed) < u.opts.MaxUsers {
		p.owed[id] = owedCall{online, time.Now()}
	}
}

// madeLocked removes the calls that a server has made: all that are older than its oldest
// one that waits.
func (p *peer) madeLocked(late time.Duration) {
	made := p.heard.Add(-owedMargin - late)
	for id, o := range p.owed {
		if !o.since.After(made) {
			delete(p.owed, id)
		}
	}
	if len(p.owed) == 0 {
		p.owed = nil
	}
}

// takeOverLocked makes the calls that a server owes which is not there any more, or leaves
// them to the next one. It may be that some were made: nobody can know.
func (u *Users) takeOverLocked(p *peer) {
	owed := p.owed
	p.owed = nil
	for id, o := range owed {
		e := u.entries[id]
		if e == nil && !o.online {
			e = u.entryLocked(id)
			e.told = true
		}
		if e == nil || !e.onList && e.online() != o.online {
			continue // others were told what is true now
		}
		e.unsure = true
		if !e.onList {
			u.enlistLocked(e)
		}
	}
	u.callLocked(u)
}

// leave tells other servers that this one leaves.
func (u *Users) leave() {
	u.mu.Lock()
	u.wantBye = true
	u.mu.Unlock()
	u.flush()
}

// lateLocked returns how long the oldest call has waited that was not made, in
// milliseconds. When the server shuts down, it makes no more calls.
func (t *table) lateLocked() int64 {
	oldest := t.skipped
	if t.calling && (oldest.IsZero() || t.oldest.Before(oldest)) {
		oldest = t.oldest
	}
	if oldest.IsZero() {
		return 0
	}
	return max(0, time.Since(oldest).Milliseconds()) + 1
}

// leavesLocked notes that a server leaves. Its users have the grace time to come to another
// server.
func (u *Users) leavesLocked(p *peer, m *message) {
	p.leaving, p.synced, p.list = true, false, nil
	p.madeLocked(m.late())
	u.takeOverLocked(p)
	time.AfterFunc(u.opts.Grace, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.all[p.id] == p {
			u.loseLocked(p)
			delete(u.all, p.id) // it does not come back: ids are those of one run
		}
	})
}

// loseLocked makes the users of a server go offline, unless they are elsewhere.
func (u *Users) loseLocked(p *peer) {
	p.gone, p.synced, p.list = true, false, nil
	u.replaceLocked(p, nil)
	u.takeOverLocked(p)
}
