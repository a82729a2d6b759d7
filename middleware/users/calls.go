package users

import (
	"errors"
	"log/slog"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
)

// callLocked starts to call OnOnline and OnOffline for what is on the list, unless that
// happens already, or this server has yet to learn who is online.
func (t *table) callLocked(u *Users) {
	if t.calling || len(t.untold) == 0 || u.settling {
		return
	}
	t.calling, t.oldest = true, t.untold[0].listed
	go u.call() // ends when the list is empty
}

// call makes the calls, one after the other.
func (u *Users) call() {
	for {
		f, id := u.nextCall()
		if f == nil {
			return
		}
		if err := rescue.Apart(func() error { f(id); return nil }); err != nil {
			u.logFailure("OnOnline or OnOffline of package users failed", err)
		}
	}
}

// nextCall returns the next function to call, nil if there is none.
func (u *Users) nextCall() (f func(id string), id string) {
	shutdown := errors.Is(u.ns.OwnStatus().Err, adapter.ErrClosed)
	t := &u.table
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.untold) > 0 {
		e := t.untold[0]
		t.untold[0] = nil
		t.untold = t.untold[1:]
		f = u.callForLocked(e)
		t.forgetLocked(e)
		switch {
		case f == nil:
		case !shutdown:
			t.oldest = e.listed
			return f, e.id
		case t.skipped.IsZero():
			t.skipped = e.listed
		}
	}
	t.untold, t.calling = nil, false
	return nil, ""
}

// callForLocked notes that everybody was told what is true of the entry now. It returns
// the function that this server has to call for that.
func (u *Users) callForLocked(e *entry) func(id string) {
	e.onList = false
	online := e.online()
	if e.told == online && !e.unsure {
		return nil // the user was away for a moment, or here
	}
	e.told, e.unsure = online, false
	var other *peer
	if !u.opts.EveryServer {
		other = u.responsibleLocked(e)
	}
	e.returned = false
	if other != nil {
		u.owesLocked(other, e.id, online)
		return nil
	}
	u.beatSoonLocked()
	if online {
		return u.opts.OnOnline
	}
	return u.opts.OnOffline
}

func (u *Users) logFailure(msg string, err error) {
	//nolint:sloglint // its callers pass constants
	u.log.Error(msg, slog.String("ns", u.ns.Name()), slog.String("err", rescue.Text(err)), slog.String("stack", string(rescue.StackOf(err))))
}
