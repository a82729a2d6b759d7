package users

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/fnv"
	"log/slog"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

const (
	// beatInterval is how often a server says that it is there.
	beatInterval = 5 * time.Second

	// silence is after what time without a word another server has failed.
	silence = 15 * time.Second

	// settleTime is how long a server that starts learns who is online before it calls
	// OnOnline and OnOffline.
	settleTime = 2 * time.Second

	// maxSettleTime is the same for a server whose adapter does not work yet.
	maxSettleTime = 10 * time.Second

	// connectInterval is when a server looks again whether its adapter works.
	connectInterval = 50 * time.Millisecond

	// askInterval is how often another server is asked for its users at most, and how often
	// this one sends its own.
	askInterval = time.Second

	// returnTime is how long a server counts as one that has come back.
	returnTime = 30 * time.Second

	// keepGone is how long a server that has failed is remembered.
	keepGone = time.Hour

	maxPeers    = 1000
	maxServerID = 64

	reportInterval = time.Minute
)

// peers are the other servers of a cluster. Everything but clustered and self is guarded by
// the mutex of the table.
type peers struct {
	outbox

	clustered bool
	self      string // the id of this server
	settling  bool
	all       map[string]*peer // by id, also those that have failed
	healthy   time.Time        // since when the adapter works
	reported  time.Time        // when the log said that there are too many users
}

// A peer is another server. Its version counts the changes of its users.
type peer struct {
	id         string
	heard      time.Time
	gone       bool // it has failed
	leaving    bool // it shuts down
	synced     bool // the users are those of the version
	everSynced bool
	version    uint64
	users      map[*entry]struct{}
	returned   time.Time // when it was heard again after it had failed
	asked      time.Time
	run        uint64    // of the list that is being received
	part       int       // of that
	came       time.Time // when it came
	list       []listed  // so far
	owed       map[string]owedCall
}

// A listed user is one of another server's list.
type listed struct {
	id   string
	told bool // that server knew it when OnOnline was called
}

func (p *peers) init() {
	p.self, p.all = rand.Text(), make(map[string]*peer)
}

// join connects this server with the others.
func (u *Users) join() {
	u.clustered, u.settling, u.silent, u.healthy = true, true, true, time.Now()
	u.ns.OnOwnClosing(u.leave)
	time.AfterFunc(maxSettleTime, u.settled)
	u.begin(connectInterval)
}

// begin says that this server is there, as soon as the adapter works: before that, others
// hear of a server that the broker does not know yet.
func (u *Users) begin(again time.Duration) {
	status := u.ns.OwnStatus()
	switch {
	case errors.Is(status.Err, adapter.ErrClosed):
		return
	case !status.Healthy:
		time.AfterFunc(again, func() { u.begin(min(2*again, askInterval)) })
		return
	}
	u.mu.Lock()
	u.silent, u.wantBeat, u.askAll = false, true, true
	u.mu.Unlock()
	u.flush()
	time.AfterFunc(settleTime, u.settled)
	time.AfterFunc(beatInterval, u.beat)
}

func (u *Users) settled() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.settling = false
	u.callLocked(u)
}

// beat runs every 5 seconds until the server shuts down.
func (u *Users) beat() {
	status := u.ns.OwnStatus()
	if errors.Is(status.Err, adapter.ErrClosed) {
		return
	}
	u.mu.Lock()
	now := time.Now()
	switch {
	case !status.Healthy:
		u.healthy = now
	case status.Since.After(u.healthy):
		u.healthy = status.Since
	}
	u.strikeLocked(now)
	u.wantBeat = true
	u.mu.Unlock()
	u.flush()
	time.AfterFunc(beatInterval, u.beat)
}

// strikeLocked finds servers that have failed. While the adapter does not work, nobody can
// be heard, which says nothing about them.
func (u *Users) strikeLocked(now time.Time) {
	for id, p := range u.all {
		heard := p.heard
		if u.healthy.After(heard) {
			heard = u.healthy
		}
		switch {
		case p.gone && now.Sub(p.heard) >= keepGone:
			delete(u.all, id)
		case !p.gone && !p.leaving && now.Sub(heard) >= max(silence, u.opts.Grace):
			u.loseLocked(p)
		}
	}
}

// responsibleLocked returns the server that makes the calls about a user, nil for this one.
// All servers that know of each other choose the same one. About users who came back with other
// servers, those servers have nothing to say: to them, the users were here all the time.
func (u *Users) responsibleLocked(e *entry) (other *peer) {
	most, best := weight(u.self, e.id), u.self
	for id, p := range u.all {
		if p.gone || p.leaving || e.returned && time.Since(p.returned) < returnTime {
			continue
		}
		if w := weight(id, e.id); w > most || w == most && id > best {
			most, best, other = w, id, p
		}
	}
	return other
}

// weight is a hash of a server and a user. The server with the largest one is responsible
// (rendezvous hashing), so few users change theirs when a server comes or goes.
func weight(server, user string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(server)) // a hash never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write([]byte(user))
	x := h.Sum64()
	x ^= x >> 33 //nolint:mnd // the finalizer of MurmurHash3, since FNV mixes the last bytes badly
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33 //nolint:mnd // likewise
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33 //nolint:mnd // likewise
}

// onMessage is the handler of what other servers say. It takes nothing for granted:
// whatever reaches the broker can send such an event.
func (u *Users) onMessage(ctx context.Context, args sio.Args) (any, error) {
	var m message
	if err := args.Bind(&m); err != nil || !m.valid() {
		return nil, &sio.Error{Message: "invalid users", Err: err}
	}
	if m.Server == u.self {
		return nil, nil //nolint:nilnil // no answer
	}
	if !u.receive(&m) {
		u.log.DebugContext(ctx, "there are too many servers, or too many users of one server", slog.String("ns", u.ns.Name()))
	}
	return nil, nil //nolint:nilnil // no answer
}

// receive applies a message. It reports whether there was room for it.
func (u *Users) receive(m *message) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.heardLocked(m.Server)
	if p == nil {
		return false
	}
	if p.leaving {
		return true // it has told everything
	}
	switch m.Kind {
	case kindBeat:
		p.madeLocked(m.late())
		u.checkVersionLocked(p, m.Version)
	case kindBye:
		u.leavesLocked(p, m)
	case kindChange:
		if u.checkVersionLocked(p, m.Version-1) {
			p.version = m.Version
			u.applyLocked(p, m)
		}
	case kindList:
		return u.collectLocked(p, m)
	case kindAsk:
		if m.To == "" || m.To == u.self {
			u.wantList = true
			u.sayLaterLocked()
		}
	}
	return true
}

// heardLocked returns the server with that id, nil if there are too many.
func (u *Users) heardLocked(id string) *peer {
	now := time.Now()
	p := u.all[id]
	switch {
	case p == nil && len(u.all) >= maxPeers && !u.forgetGoneLocked():
		return nil
	case p == nil:
		p = &peer{id: id, users: make(map[*entry]struct{})}
		u.all[id] = p
	case p.gone:
		p.gone, p.returned = false, now
	}
	p.heard = now
	return p
}

// forgetGoneLocked forgets the server that has failed first. It reports whether there was one.
func (u *Users) forgetGoneLocked() bool {
	var first *peer
	for _, p := range u.all {
		if p.gone && (first == nil || p.heard.Before(first.heard)) {
			first = p
		}
	}
	if first == nil {
		return false
	}
	delete(u.all, first.id)
	return true
}

// checkVersionLocked reports whether the users of a server are known at that version.
// Otherwise the server will be asked. At version 0 it has none.
func (u *Users) checkVersionLocked(p *peer, version uint64) bool {
	if !p.synced && version == 0 {
		p.synced, p.everSynced, p.version = true, true, 0
		u.replaceLocked(p, nil)
	}
	if p.synced && p.version == version {
		return true
	}
	p.synced = false
	now := time.Now()
	if comes := p.list != nil && now.Sub(p.came) < askInterval; !comes && now.Sub(p.asked) >= askInterval {
		p.asked = now
		u.toAsk = append(u.toAsk, p.id)
		u.sayLaterLocked()
	}
	return false
}

func (u *Users) applyLocked(p *peer, m *message) {
	for _, id := range m.On {
		u.addLocked(p, listed{id: id}, nil)
	}
	for _, id := range m.Off {
		if e := u.entries[id]; e != nil {
			u.removeLocked(p, e)
		}
	}
}

// addLocked notes that a user is on another server. then may change the entry further.
func (u *Users) addLocked(p *peer, user listed, then func(e *entry, isNew bool)) {
	if u.entries[user.id] == nil && len(u.entries) >= u.opts.MaxUsers {
		u.reportFullLocked()
		return
	}
	e := u.entryLocked(user.id)
	if _, known := p.users[e]; known {
		return
	}
	p.users[e] = struct{}{}
	isNew := !e.online()
	u.updateLocked(u, e, func() {
		e.elsewhere++
		if then != nil {
			then(e, isNew)
		}
	})
}

func (u *Users) removeLocked(p *peer, e *entry) {
	if _, known := p.users[e]; known {
		delete(p.users, e)
		u.updateLocked(u, e, func() { e.elsewhere-- })
	}
}

// replaceLocked makes a list the users of a server. First it adds, so that nobody goes
// offline who is on the list.
func (u *Users) replaceLocked(p *peer, list []listed) {
	first := !p.everSynced
	returned := time.Since(p.returned) < returnTime
	keep := make(map[string]struct{}, len(list))
	for _, user := range list {
		keep[user.id] = struct{}{}
		u.addLocked(p, user, func(e *entry, isNew bool) {
			e.told = e.told || first && user.told // OnOnline was called before this server had heard of the user
			e.returned = e.returned || isNew && returned
		})
	}
	for e := range p.users {
		if _, ok := keep[e.id]; !ok {
			u.removeLocked(p, e)
		}
	}
}

// collectLocked receives a part of a list. It reports whether there is room for it.
func (u *Users) collectLocked(p *peer, m *message) bool {
	if p.synced && p.version == m.Version {
		return true // another server has asked for it
	}
	if m.Part == 0 {
		p.list = make([]listed, 0, len(m.On)+len(m.New))
	}
	if p.list == nil || m.Part != 0 && (m.Run != p.run || m.Part != p.part+1) {
		p.list = nil // the first part was lost, or another one
		return true
	}
	if len(p.list) > u.opts.MaxUsers {
		p.list = nil
		return false
	}
	p.run, p.part, p.came = m.Run, m.Part, time.Now()
	for _, id := range m.On {
		p.list = append(p.list, listed{id, true})
	}
	for _, id := range m.New {
		p.list = append(p.list, listed{id, false})
	}
	if !m.More {
		u.replaceLocked(p, p.list)
		p.synced, p.everSynced, p.version, p.list = true, true, m.Version, nil
	}
	return true
}

func (u *Users) reportFullLocked() {
	if now := time.Now(); now.Sub(u.reported) >= reportInterval {
		u.reported = now
		go u.log.Error("too many users are online: users of other servers are left out", // it does not wait for the lock
			slog.String("ns", u.ns.Name()), slog.Int("limit", u.opts.MaxUsers))
	}
}
