package sharedlog

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Order makes calls one at a time, in order, for one stream: those for its entries, and
// those for messages of this server that are delivered before they are in the stream. It knows
// how far the server has read.
type Order struct {
	mu       sync.Mutex
	position Place // of the last entry that was passed on, or start
	start    Place // from where on entries are read
	first    Place // of the first entry that was passed on
	queue    []func()
	running  bool // a goroutine makes the calls
}

// Do calls f after all earlier ones. If another goroutine makes calls, that one calls f as
// well, and Do returns at once. So a call may make others.
func (s *Order) Do(f func()) {
	s.add(f)
	s.run()
}

// add adds a call. The caller calls run when it holds no lock.
func (s *Order) add(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, f)
}

// run makes the calls, unless another goroutine does.
func (s *Order) run() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running {
		return
	}
	s.running = true
	defer func() { s.running = false }()
	for len(s.queue) > 0 {
		next := s.queue[0]
		s.queue = s.queue[1:]
		s.callUnlocked(next)
	}
	s.queue = nil
}

// callUnlocked calls f. The caller holds mu; it is released meanwhile.
func (s *Order) callUnlocked(f func()) {
	s.mu.Unlock()
	defer s.mu.Lock()
	f()
}

// Wait calls f after all earlier ones, and waits for it.
func (s *Order) Wait(f func()) {
	done := make(chan struct{})
	s.Do(func() {
		defer close(done)
		f()
	})
	<-done
}

// Pass calls f for an entry, and waits for it.
func (s *Order) Pass(at Place, f func()) {
	s.Wait(func() {
		s.mu.Lock()
		s.position = at
		if s.first == (Place{}) {
			s.first = at
		}
		s.mu.Unlock()
		f()
	})
}

// Skip moves the position to an entry that no namespace of this server needs.
func (s *Order) Skip(at Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.position = at
	if s.first == (Place{}) {
		s.first = at
	}
}

// Begin sets the position from which on entries are read. An earlier one is ignored.
func (s *Order) Begin(at Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.position.Compare(at) < 0 {
		s.position, s.start, s.first = at, at, Place{}
	}
}

// At returns the position: that of the last entry that was passed on.
func (s *Order) At() Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}

// Await waits until the position is at or behind a place, and reports whether it is. A client
// that comes from another server may have got what this one has not read yet.
func (s *Order) Await(ctx context.Context, at Place) bool {
	if s.At().Compare(at) >= 0 {
		return true
	}
	tick := time.NewTicker(awaitInterval)
	defer tick.Stop()
	timeout := time.After(awaitTimeout)
	for s.At().Compare(at) < 0 {
		select {
		case <-tick.C:
		case <-timeout:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}

const (
	// awaitInterval is how often the position is looked at, and awaitTimeout how long a server
	// may be behind another one.
	awaitInterval = 2 * time.Millisecond
	awaitTimeout  = 2 * time.Second
)

// Next returns the entry that was passed on after start, if reading began there.
func (s *Order) Next(start Place) (at Place, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first, start == s.start
}

// AtEnd calls last, unless it is nil, if no entry has been passed on since the position was
// end. No entry is passed on meanwhile. It reports whether that is so.
func (s *Order) AtEnd(end Place, last func()) (done bool) {
	s.Wait(func() {
		if done = s.At() == end; done && last != nil {
			last()
		}
	})
	return done
}

// A Place is the place of an entry in a stream. Major is compared first. In Redis, it is the
// time in milliseconds, and Minor a sequence number.
type Place struct{ Major, Minor uint64 }

// String returns the offset of the place.
func (a Place) String() string {
	return strconv.FormatUint(a.Major, 10) + "-" + strconv.FormatUint(a.Minor, 10)
}

// Compare returns a negative number if a is before b, a positive one if it is after b, and 0 if
// they are equal.
func (a Place) Compare(b Place) int {
	return cmp.Or(cmp.Compare(a.Major, b.Major), cmp.Compare(a.Minor, b.Minor))
}

// ParsePlace reads a place in the form in which String writes it. ok is false for any other.
func ParsePlace(s string) (at Place, ok bool) {
	major, minor, _ := strings.Cut(s, "-")
	var errs [2]error
	at.Major, errs[0] = strconv.ParseUint(major, 10, 64)
	at.Minor, errs[1] = strconv.ParseUint(minor, 10, 64)
	return at, errs == [2]error{} && at.String() == s
}
