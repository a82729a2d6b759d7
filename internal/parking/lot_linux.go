package parking

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"time"
)

// inputOnce asks for one event when there is input, or the end of it.
const inputOnce = syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT

// maxEvents is how many events one system call returns.
const maxEvents = 128

// A Lot has the connections that wait without a goroutine. The zero Lot is empty. It opens a
// descriptor with the first connection that is parked, and has one goroutine while there are
// some. It is safe for concurrent use.
//
// It is an epoll instance beside the one of Go's runtime, which knows all connections as
// well. The Lot's own descriptor is one of those that the runtime waits for. So its
// goroutine occupies no thread while it waits.
type Lot struct {
	mu      sync.Mutex
	file    *os.File        // the epoll instance; nil before it is needed. The garbage collector closes it.
	raw     syscall.RawConn // of file
	slots   []slot
	free    uint32 // the first free slot, plus 1; 0: there is none
	last    uint32 // generation of the connection that was parked last
	parked  int
	running bool                 // the goroutine runs
	events  []syscall.EpollEvent // only the goroutine uses them
}

// A Place is where one connection is parked, if it is. A nil Place parks nothing.
type Place struct {
	lot *Lot

	// Guarded by the lot's mu:
	index uint32 // in slots, plus 1; 0: not parked
	known bool   // the descriptor was given to the kernel
}

// NewPlace returns a place for a connection, nil if l is nil.
func (l *Lot) NewPlace() *Place {
	if l == nil {
		return nil
	}
	return &Place{lot: l}
}

// A slot has one connection that is parked.
type slot struct {
	waiter     Waiter // nil: the slot is free
	place      *Place
	generation uint32 // tells events apart that are for a former connection of the slot
	next       uint32 // in the list of free slots, plus 1
}

// A key tells connections apart. Events have it.
type key struct{ index, generation uint32 }

// Park waits for input of a connection of package net, which has to be always the same. When
// there is some, or the end of it, w.Resume is called, once. That may be before Park has
// returned. If Park returns false, w.Resume is not called: the connection cannot be parked.
func (p *Place) Park(conn syscall.RawConn, w Waiter) bool {
	if p == nil {
		return false
	}
	l := p.lot
	l.mu.Lock()
	if !l.openLocked() {
		l.mu.Unlock()
		return false
	}
	op := syscall.EPOLL_CTL_ADD
	if p.known {
		op = syscall.EPOLL_CTL_MOD
	}
	k, epoll := l.enterLocked(p, w), l.raw
	l.mu.Unlock()
	e := syscall.EpollEvent{Events: inputOnce, Fd: int32(k.index), Pad: int32(k.generation)} //nolint:gosec // bits
	err := control(epoll, op, conn, &e)
	if errors.Is(err, syscall.ENOENT) { // the kernel did not take it the last time
		err = control(epoll, syscall.EPOLL_CTL_ADD, conn, &e)
	}
	if err == nil {
		return true
	}
	return l.take(k) == nil // it has been resumed meanwhile, or has to be given up
}

// control is epoll_ctl. Neither descriptor is closed meanwhile.
func control(epoll syscall.RawConn, op int, conn syscall.RawConn, e *syscall.EpollEvent) error {
	var failed error
	err := epoll.Control(func(epfd uintptr) {
		err := conn.Control(func(fd uintptr) { failed = syscall.EpollCtl(int(epfd), op, int(fd), e) })
		if err != nil {
			failed = err
		}
	})
	if err != nil {
		return err
	}
	return failed
}

// Unpark gives up the wait, and returns the Waiter, whose Resume is not called any more. It
// returns nil if the connection is not parked.
func (p *Place) Unpark() Waiter {
	if p == nil {
		return nil
	}
	l := p.lot
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.index == 0 {
		return nil
	}
	return l.removeLocked(p.index - 1)
}

// openLocked reports whether there is an epoll instance. It makes one, if that is possible.
func (l *Lot) openLocked() bool {
	if l.file != nil {
		return true
	}
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	_ = syscall.SetNonblock(fd, true) // for package os to have the runtime wait for it
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil || file.SetReadDeadline(time.Time{}) != nil { // the runtime does not wait for it
		_ = file.Close()
		return false
	}
	l.file, l.raw, l.events = file, raw, make([]syscall.EpollEvent, maxEvents)
	return true
}

// enterLocked gives a connection a slot, and starts the goroutine unless it runs.
func (l *Lot) enterLocked(p *Place, w Waiter) key {
	if l.free == 0 {
		l.slots = append(l.slots, slot{})
		l.free = uint32(len(l.slots)) //nolint:gosec // there are fewer descriptors
	}
	index := l.free - 1
	l.free = l.slots[index].next
	l.last++
	l.slots[index] = slot{waiter: w, place: p, generation: l.last}
	p.index, p.known = index+1, true
	l.parked++
	if !l.running {
		l.running = true
		go l.run(l.raw) // ends when nothing is parked
	}
	return key{index, l.last}
}

// take removes a connection and returns its waiter, nil if it is not parked any more.
func (l *Lot) take(k key) Waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.slots[k.index]
	if s.waiter == nil || s.generation != k.generation {
		return nil
	}
	return l.removeLocked(k.index)
}

func (l *Lot) removeLocked(index uint32) Waiter {
	s := l.slots[index]
	s.place.index = 0
	l.slots[index] = slot{next: l.free}
	l.free = index + 1
	if l.parked--; l.parked == 0 {
		_ = l.file.SetReadDeadline(time.Unix(1, 0)) // wakes the goroutine, which ends
	}
	return s.waiter
}

// run resumes connections that have input, until nothing is parked.
func (l *Lot) run(epoll syscall.RawConn) {
	n := 0
	poll := func(epfd uintptr) bool {
		n, _ = syscall.EpollWait(int(epfd), l.events, 0) // it fails only if a signal comes
		return n > 0
	}
	for goOn := true; goOn; goOn = l.goOn() {
		if epoll.Read(poll) != nil { // removeLocked has woken it
			continue
		}
		for _, e := range l.events[:n] {
			if w := l.take(key{uint32(e.Fd), uint32(e.Pad)}); w != nil { //nolint:gosec // bits
				w.Resume()
			}
		}
	}
}

// goOn reports whether something is parked. If not, the goroutine has to end.
func (l *Lot) goOn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.file.SetReadDeadline(time.Time{})
	l.running = l.parked > 0
	return l.running
}
