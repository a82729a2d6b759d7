package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/own"
	"github.com/sioplug/sioplug/internal/rescue"
)

const (
	// soon is when a server asks again that has just started: its adapter may not have
	// been connected the first time.
	soon = 5 * time.Second

	// watchInterval is how often a server looks whether messages may have been missed.
	watchInterval = time.Minute

	// listInterval is how often a server sends its whole list at most.
	listInterval = time.Second

	// maxEntries is how many revocations one event has.
	maxEntries = 500

	// maxAhead is how far the clocks of other servers may be ahead.
	maxAhead = time.Hour
)

// A revokedEntry is a revocation as servers send it to each other.
type revokedEntry struct {
	Token bool   `json:"token,omitempty"`
	ID    string `json:"id"`
	At    int64  `json:"at"` // in Unix milliseconds
}

// peers is what a list knows of its connection with those of other servers.
type peers struct {
	mu      sync.Mutex
	seen    adapter.Status // when it was looked at the last time
	failed  bool           // others could not be told of something
	listing bool           // the list will be sent in a moment
}

// join connects the list with those of other servers.
func (r *Revocations) join() {
	r.srv.OnOwnServerEvent(own.Revoked, r.onRevoked)
	r.srv.OnOwnServerEvent(own.Revoker, func(context.Context, sio.Args) (any, error) {
		r.sendListLater()
		return nil, nil //nolint:nilnil // no answer
	})
	r.peer.seen = r.srv.Cluster()
	r.ask()
	time.AfterFunc(soon, func() { r.watch(true) })
}

// tell tells other servers of a revocation.
func (r *Revocations) tell(id revokedID, at time.Time) error {
	err := r.srv.OwnServerSideEmit(own.Revoked, []revokedEntry{{id.token, id.id, at.UnixMilli()}})
	if err == nil {
		return nil
	}
	r.noteFailure()
	return fmt.Errorf("auth: other servers have not been told of a revocation yet: %w", err)
}

func (r *Revocations) noteFailure() {
	r.peer.mu.Lock()
	defer r.peer.mu.Unlock()
	r.peer.failed = true
}

// ask asks other servers for their lists.
func (r *Revocations) ask() {
	if r.srv.OwnServerSideEmit(own.Revoker) != nil {
		r.noteFailure()
	}
}

// watch runs every minute until the server shuts down. When messages may have been missed,
// it asks for the lists of others, and sends this one.
func (r *Revocations) watch(again bool) {
	now := r.srv.Cluster()
	if errors.Is(now.Err, adapter.ErrClosed) {
		return
	}
	time.AfterFunc(watchInterval, func() { r.watch(false) })
	r.mu.Lock()
	r.pruneLocked()
	r.mu.Unlock()
	r.peer.mu.Lock()
	was, failed := r.peer.seen, r.peer.failed
	r.peer.seen, r.peer.failed = now, false
	r.peer.mu.Unlock()
	if again || failed || now.Gaps != was.Gaps || now.Lost != was.Lost || !now.Since.Equal(was.Since) {
		_ = rescue.Apart(func() error { // on the goroutine of a timer
			r.ask()
			r.sendList()
			return nil
		})
	}
}

// sendListLater sends the list in a moment, once for all servers that ask until then.
func (r *Revocations) sendListLater() {
	r.peer.mu.Lock()
	defer r.peer.mu.Unlock()
	if r.peer.listing {
		return
	}
	r.peer.listing = true
	time.AfterFunc(listInterval, func() {
		r.peer.mu.Lock()
		r.peer.listing = false
		r.peer.mu.Unlock()
		_ = rescue.Apart(func() error { // as in watch
			r.sendList()
			return nil
		})
	})
}

// sendList sends all revocations to all servers, which know most of them.
func (r *Revocations) sendList() {
	var list []revokedEntry
	r.mu.Lock()
	r.pruneLocked()
	for id, at := range r.times {
		list = append(list, revokedEntry{id.token, id.id, at.UnixMilli()})
	}
	r.mu.Unlock()
	for len(list) > 0 {
		n := min(len(list), maxEntries)
		if r.srv.OwnServerSideEmit(own.Revoked, list[:n]) != nil {
			r.noteFailure()
			return
		}
		list = list[n:]
	}
}

// onRevoked is the handler of revocations on other servers. It takes nothing for granted:
// whatever reaches the broker can send such an event.
func (r *Revocations) onRevoked(ctx context.Context, args sio.Args) (any, error) {
	var list []revokedEntry
	if err := args.Bind(&list); err != nil || len(list) > maxEntries {
		return nil, &sio.Error{Message: "invalid revocations", Err: err}
	}
	now := time.Now()
	refused := 0
	for _, e := range list {
		at := time.UnixMilli(e.At)
		if e.ID == "" || len(e.ID) > maxRevoked || at.After(now.Add(maxAhead)) || !at.After(now.Add(-r.keep)) {
			refused++
			continue
		}
		r.apply(revokedID{e.Token, e.ID}, at) //nolint:contextcheck // nothing that takes time
	}
	if refused > 0 {
		r.log.DebugContext(ctx, "revocations of another server are invalid, or too old", slog.Int("refused", refused))
	}
	return nil, nil //nolint:nilnil // no answer
}
