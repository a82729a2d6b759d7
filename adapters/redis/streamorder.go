package redisadapter

import (
	"cmp"
	"strconv"
	"strings"
	"sync"
)

// A streamOrder makes calls one at a time, in order, for one stream: those for its entries,
// and those for messages of this server that are delivered before they are in the stream.
// It knows how far the server has read.
type streamOrder struct {
	mu       sync.Mutex
	position entryID // of the last entry that was passed on, or start
	start    entryID // from where on entries are read
	first    entryID // of the first entry that was passed on
	queue    []func()
	running  bool // a goroutine makes the calls
}

// do calls f after all earlier ones. If another goroutine makes calls, that one calls f as
// well, and do returns at once. So a call may make others.
func (s *streamOrder) do(f func()) {
	s.add(f)
	s.run()
}

// add adds a call. The caller calls run when it holds no lock.
func (s *streamOrder) add(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, f)
}

// run makes the calls, unless another goroutine does.
func (s *streamOrder) run() {
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
func (s *streamOrder) callUnlocked(f func()) {
	s.mu.Unlock()
	defer s.mu.Lock()
	f()
}

// pass calls f for an entry, and waits for it.
func (s *streamOrder) pass(id entryID, f func()) {
	done := make(chan struct{})
	s.do(func() {
		defer close(done)
		s.mu.Lock()
		s.position = id
		if s.first == (entryID{}) {
			s.first = id
		}
		s.mu.Unlock()
		f()
	})
	<-done
}

// begin sets the position from which on entries are read.
func (s *streamOrder) begin(id entryID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.position.compare(id) < 0 {
		s.position, s.start, s.first = id, id, entryID{}
	}
}

func (s *streamOrder) at() entryID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}

// next returns the entry that was passed on after that position, if the position is start.
func (s *streamOrder) next(start entryID) (id entryID, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first, start == s.start
}

// An entryID is the id of an entry of a stream: milliseconds and a sequence number.
type entryID struct{ ms, seq uint64 }

func (a entryID) String() string {
	return strconv.FormatUint(a.ms, 10) + "-" + strconv.FormatUint(a.seq, 10)
}

func (a entryID) compare(b entryID) int {
	return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(a.seq, b.seq))
}

// parseEntryID reads an id in the form in which Redis writes it. ok is false for any other.
func parseEntryID(s string) (id entryID, ok bool) {
	ms, seq, _ := strings.Cut(s, "-")
	var errs [2]error
	id.ms, errs[0] = strconv.ParseUint(ms, 10, 64)
	id.seq, errs[1] = strconv.ParseUint(seq, 10, 64)
	return id, errs == [2]error{} && id.String() == s
}
