package users

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// listening returns users who hear what other servers say, and send nothing.
func listening() *Users {
	u := newTable(Options{MaxUsers: 1000, Grace: time.Second})
	u.ns, u.clustered, u.silent, u.log = sio.New(nil).Namespace, true, true, slog.New(slog.DiscardHandler)
	return u
}

// asks reports whether another server would be asked now.
func (u *Users) asks(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	asks := slices.Contains(u.toAsk, id)
	u.toAsk = nil
	return asks
}

// The end of a list is lost. The next heartbeat says that something is missing, so the
// server is asked again.
func TestAListWhoseEndIsLostIsAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := listening()
		u.receive(&message{Server: "a", Kind: kindBeat, Version: 7})
		if !u.asks("a") {
			t.Fatal("not asked at first")
		}
		u.receive(&message{Server: "a", Kind: kindList, Version: 7, On: []string{"ann"}, More: true})
		u.receive(&message{Server: "a", Kind: kindBeat, Version: 7})
		if u.asks("a") {
			t.Error("asked while the list comes")
		}
		time.Sleep(beatInterval)
		u.receive(&message{Server: "a", Kind: kindBeat, Version: 7})
		if !u.asks("a") {
			t.Error("not asked again: its users are unknown for good")
		}
		time.Sleep(time.Minute) // until all timers have run
	})
}

// Between two lists of one server, the end of the first and the beginning of the second are
// lost. What is left of the two is no list.
func TestPartsOfTwoListsAreNoList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := listening()
		u.receive(&message{Server: "a", Kind: kindList, Run: 1, Version: 7, On: []string{"ann"}, More: true})
		u.receive(&message{Server: "a", Kind: kindList, Run: 2, Version: 7, Part: 1, On: []string{"ann"}})
		time.Sleep(beatInterval)
		u.receive(&message{Server: "a", Kind: kindBeat, Version: 7})
		if !u.asks("a") {
			t.Error("half of the users are taken for all")
		}
		time.Sleep(time.Minute)
	})
}

// Each list that a server sends has a number of its own.
func TestListsAreNumbered(t *testing.T) {
	t.Parallel()
	u := listening()
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range 2 * maxIDs {
		u.entryLocked(fmt.Sprint(i)).said = true
	}
	first, second := u.listLocked(), u.listLocked()
	if len(first) != 2 || first[0].Run != first[1].Run || first[0].Run == second[0].Run {
		t.Errorf("runs %d and %d, then %d", first[0].Run, first[1].Run, second[0].Run)
	}
}

// Servers that fail and start again, as containers do that crash, do not use up the room for
// those that are there.
func TestFailedServersMakeRoomForNewOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := listening()
		for i := range maxPeers {
			u.receive(&message{Server: fmt.Sprint("failed", i), Kind: kindBeat})
		}
		if u.receive(&message{Server: "one too many", Kind: kindBeat}) {
			t.Error("there is no limit")
		}
		time.Sleep(silence)
		u.receive(&message{Server: "failed0", Kind: kindBeat}) // still there
		u.mu.Lock()
		u.strikeLocked(time.Now())
		u.mu.Unlock()
		if !u.receive(&message{Server: "new", Kind: kindChange, Version: 1, On: []string{"ann"}}) || !u.Online("ann") {
			t.Error("a server is not heard because others have failed")
		}
		if len(u.all) > maxPeers || u.all["failed0"] == nil {
			t.Errorf("%d servers are known", len(u.all))
		}
		time.Sleep(time.Minute)
	})
}
