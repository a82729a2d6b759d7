package auth

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/rescue"
)

// RevocationsOptions are the settings of [Revocations]. A zero value means the default.
type RevocationsOptions struct {
	// Keep is how long a revocation is remembered, 24 hours by default. It should be at
	// least as long as tokens are valid.
	Keep time.Duration

	// Max is how many revocations are remembered, 100,000 by default. Beyond that, the
	// oldest one is forgotten, which the log says at Error.
	Max int

	// Logger is that of the list, slog.Default() by default.
	Logger *slog.Logger
}

const (
	defaultKeep = 24 * time.Hour
	defaultMax  = 100_000

	// clockSkew is how far the clocks of issuers may be ahead.
	clockSkew = 5 * time.Second

	// maxRevoked is the size of a subject or a token's id in bytes.
	maxRevoked = 1024
)

// Revocations is a list of revoked subjects and tokens. It is in the memory of each server,
// and it is the same on all servers of a cluster: see [Options.Adapter]. Use it if you have
// no list of your own that all servers share:
//
//	revoked := auth.NewRevocations(srv, nil)
//	chat.UseConnect(auth.Require(verify, auth.Revoked(revoked.Contains)))
//	...
//	err := revoked.Subject("ann") // on any server
//
// A server that starts asks the others for their lists. Until they have answered, which
// takes a moment, it knows none of their revocations. A server also asks when its adapter
// says that messages may have been missed. When all servers have stopped, the list is
// lost: if that matters, keep it in a database, and use [Revoked] and [RevokeSubject].
//
// Servers of a cluster that have no Revocations ignore it, so do Node.js servers. All
// methods are safe for concurrent use.
//
// [Options.Adapter]: https://pkg.go.dev/github.com/sioplug/sioplug/core#Options
type Revocations struct {
	srv  *sio.Server
	keep time.Duration
	max  int
	log  *slog.Logger
	peer peers

	mu       sync.Mutex
	times    map[revokedID]time.Time // when it was revoked
	reported time.Time               // when the log said that the list is full
}

// A revokedID is the id of a token, or a subject.
type revokedID struct {
	token bool
	id    string
}

// NewRevocations returns an empty list, which a server can have once. It asks the other
// servers of a cluster for theirs. opts may be nil.
func NewRevocations(srv *sio.Server, opts *RevocationsOptions) *Revocations {
	var o RevocationsOptions
	if opts != nil {
		o = *opts
	}
	if srv == nil || o.Keep < 0 || o.Max < 0 {
		misuse.Panic("auth: NewRevocations needs a server, and numbers that are not negative: leave them 0 for the default")
	}
	r := &Revocations{
		srv: srv, keep: cmp.Or(o.Keep, defaultKeep), max: cmp.Or(o.Max, defaultMax), log: rescue.Logger(cmp.Or(o.Logger, slog.Default())),
		times: make(map[revokedID]time.Time),
	}
	if srv.Clustered() {
		r.join()
	}
	return r
}

// Subject revokes all tokens of a subject that were issued until now: those whose claim iat
// is not later, and those without one. Since clocks differ, tokens of the next 5 seconds
// are refused as well. Sockets with such tokens get [EventRevoked] and are disconnected, in
// all namespaces of all servers. For the subject "", it does nothing.
//
// If it returns an error, other servers may not know of it yet. They are told again within
// a minute.
func (r *Revocations) Subject(subject string) error {
	if strings.TrimSpace(subject) == "" {
		return nil
	}
	return r.revoke(revokedID{false, subject})
}

// Token is like [Revocations.Subject] for the token with this id (the claim jti), whenever
// it was issued. For the id "", it does nothing.
func (r *Revocations) Token(id string) error {
	if id == "" {
		return nil
	}
	return r.revoke(revokedID{true, id})
}

// Contains reports whether a token was revoked. It is for [Revoked]. The error is always
// nil.
func (r *Revocations) Contains(_ context.Context, t Token) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.containsLocked(t), nil
}

func (r *Revocations) containsLocked(t Token) bool {
	oldest := time.Now().Add(-r.keep)
	if at, ok := r.times[revokedID{true, t.ID}]; ok && t.ID != "" && at.After(oldest) {
		return true
	}
	at, ok := r.times[revokedID{false, t.Subject}]
	return ok && t.Subject != "" && at.After(oldest) && !t.IssuedAt.After(at.Add(clockSkew))
}

func (r *Revocations) revoke(id revokedID) error {
	if len(id.id) > maxRevoked {
		return fmt.Errorf("auth: a subject or a token's id of %d bytes cannot be revoked: the limit is %d", len(id.id), maxRevoked)
	}
	now := time.UnixMilli(time.Now().UnixMilli()) // as other servers get it
	r.apply(id, now)
	if !r.srv.Clustered() {
		return nil
	}
	return r.tell(id, now)
}

// apply remembers a revocation, and disconnects the sockets of this server. It does nothing
// if the revocation is known.
func (r *Revocations) apply(id revokedID, at time.Time) {
	if !r.remember(id, at) {
		return
	}
	room := subjectRoom(id.id)
	if id.token {
		room = tokenRoom(id.id)
	}
	for _, ns := range r.srv.Namespaces() {
		for _, s := range ns.To(room).Local().Sockets() {
			if r.covers(s) {
				_ = s.Emit(EventRevoked, refusal{CodeRevoked}) // the socket may have gone
				_ = s.Disconnect()
			}
		}
	}
}

// covers reports whether the token of a socket was revoked.
func (r *Revocations) covers(s *sio.Socket) bool {
	session := sessionOf(s)
	if session == nil {
		return false // it has joined a room of ours by its name
	}
	session.mu.Lock()
	claims := session.principal.claims
	session.mu.Unlock()
	if claims == nil {
		return false
	}
	revoked, _ := r.Contains(context.Background(), session.opts.describe(claims))
	return revoked
}

// remember reports whether a revocation is new.
func (r *Revocations) remember(id revokedID, at time.Time) bool {
	r.mu.Lock()
	known, ok := r.times[id]
	isNew := !ok || at.After(known)
	full := false
	if isNew {
		if !ok && len(r.times) >= r.max {
			full = r.makeRoomLocked()
		}
		id.id = strings.Clone(id.id)
		r.times[id] = at
	}
	r.mu.Unlock()
	if full {
		r.log.Error("the list of revocations is full: the oldest is forgotten", slog.Int("limit", r.max))
	}
	return isNew
}

// makeRoomLocked removes revocations that are too old, or the oldest one. It reports
// whether the log has to say so.
func (r *Revocations) makeRoomLocked() (report bool) {
	if r.pruneLocked() > 0 {
		return false
	}
	var oldest revokedID
	var first time.Time
	for id, at := range r.times {
		if first.IsZero() || at.Before(first) {
			oldest, first = id, at
		}
	}
	delete(r.times, oldest)
	now := time.Now()
	if report = now.Sub(r.reported) >= time.Minute; report {
		r.reported = now
	}
	return report
}

// pruneLocked removes revocations that are too old, and returns how many.
func (r *Revocations) pruneLocked() (removed int) {
	oldest := time.Now().Add(-r.keep)
	for id, at := range r.times {
		if !at.After(oldest) {
			delete(r.times, id)
			removed++
		}
	}
	return removed
}
