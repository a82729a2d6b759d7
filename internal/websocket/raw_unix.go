//go:build unix

package websocket

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/sioplug/sioplug/internal/stack"
)

// rawConn returns access to the descriptor of nc, nil if it must not be used.
//
// Only the two types of package net are trusted. A type that embeds one of them
// has its SyscallConn method too, but it may count, limit, decode or hold back
// bytes in the Read and Write that we would bypass.
func rawConn(nc net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	var err error
	switch nc := nc.(type) {
	case *net.TCPConn:
		raw, err = nc.SyscallConn()
	case *net.UnixConn:
		raw, err = nc.SyscallConn()
	}
	if err != nil {
		return nil
	}
	return raw
}

// AwaitInput waits until there is input, or the connection ends. The same goroutine then has
// to call [Conn.ServeFrom]. In a function that few others have called, AwaitInput makes the
// stack grow at less cost than [Conn.Serve]: see [stack.Grow]. While it waits, the goroutine
// has a small stack.
func (c *Conn) AwaitInput() *Input {
	if c.raw == nil || c.readErr != nil || len(c.unparsed) > 0 {
		return nil
	}
	in := newInput()
	in.next(c.raw)
	stack.Grow()
	return in
}

// serveRaw is the loop of Serve for plain sockets: it waits in the runtime's
// poller without a buffer.
func (c *Conn) serveRaw(in *Input, h Handler) error {
	if in == nil {
		in = newInput()
		in.next(c.raw)
	}
	for ; in.err == nil; in.next(c.raw) {
		buf := in.buf
		in.buf = nil
		if err := c.receive(h, (*buf)[:in.n], buf); err != nil {
			return err
		}
	}
	return c.connError(in.err)
}

// An Input reads a plain socket, for one goroutine.
type Input struct {
	readable func(fd uintptr) bool // read, as RawConn wants it
	buf      *buffer               // not nil if n bytes were read into it
	n        int
	err      error
	// The last read filled a small buffer, so the next one gets a large buffer.
	expectMore bool
}

func newInput() *Input {
	in := new(Input)
	in.readable = in.read // made once: a method value costs an allocation
	return in
}

// next waits for input. What it reads is not handled in the callback: that holds the
// descriptor, and a handler that closes the connection would wait for itself.
func (in *Input) next(raw syscall.RawConn) {
	if err := raw.Read(in.readable); err != nil {
		in.err = err
	}
}

// read is called by [syscall.RawConn.Read]. It reads once and reports whether it
// was able to; if not, the runtime calls it again when there is input.
func (in *Input) read(fd uintptr) bool {
	buf := in.takeBuffer()
	n, err := retry(syscall.Read, fd, *buf)
	if err == nil && n > 0 {
		in.buf, in.n, in.expectMore = buf, n, n >= smallSize
		return true
	}
	putBuffer(buf)
	switch err { //nolint:errorlint // system calls return plain errors
	case syscall.EAGAIN:
		return false
	case nil:
		in.err = io.EOF
	default:
		in.err = os.NewSyscallError("read", err)
	}
	return true
}

func (in *Input) takeBuffer() *buffer {
	if in.expectMore {
		return getBuffer()
	}
	return getSmallBuffer()
}

// writeRaw writes b and returns the rest that the kernel did not take. With wait, it
// waits until there is no rest, or an error.
func (c *Conn) writeRaw(b pendingWrite, wait bool) (rest pendingWrite, err error) {
	w := getRawWriter()
	w.batch, w.wait = b, wait
	err = c.raw.Write(w.writable)
	if err == nil {
		err = w.err
	}
	rest = w.batch
	w.batch, w.err = pendingWrite{}, nil
	rawWriters.Put(w)
	return rest, err
}

// A rawWriter is one call of writeRaw. It is pooled because RawConn.Write takes
// a function, and one that is made for the call is allocated.
type rawWriter struct {
	writable func(fd uintptr) bool // write, as RawConn wants it
	batch    pendingWrite
	wait     bool
	err      error
}

//nolint:gochecknoglobals // nothing is ever found in it again, like buffers
var rawWriters sync.Pool

func getRawWriter() *rawWriter {
	w, ok := rawWriters.Get().(*rawWriter)
	if !ok {
		w = new(rawWriter)
		w.writable = w.write
	}
	return w
}

// write is called by [syscall.RawConn.Write]. It writes until nothing remains or
// the kernel takes no more. It reports whether the call is over; if not, the
// runtime calls it again when there is room.
func (w *rawWriter) write(fd uintptr) bool {
	var buf *buffer
	defer func() { putBuffer(buf) }()
	for !w.batch.empty() {
		if buf == nil && w.batch.multiple() {
			buf = getBuffer()
		}
		p := w.batch.next(buf)
		n, err := retry(syscall.Write, fd, p)
		if err == syscall.EAGAIN { //nolint:errorlint // system calls return plain errors
			return !w.wait
		}
		if err != nil {
			w.err = os.NewSyscallError("write", err)
			return true
		}
		w.batch.skip(n)
	}
	return true
}

// retry makes a system call that reads or writes p until no signal interrupts
// it.
func retry(call func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
		if err != syscall.EINTR { //nolint:errorlint // system calls return plain errors
			return n, err
		}
	}
}
