//go:build unix

package websocket

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
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

// serveRaw is the loop of Serve for plain sockets: it waits in the runtime's
// poller without a buffer.
func (c *Conn) serveRaw(h Handler) error {
	r := new(rawReader)
	readable := r.read // made once: a method value costs an allocation
	for {
		if err := c.raw.Read(readable); err != nil {
			return c.connError(err)
		}
		if r.err != nil {
			return c.connError(r.err)
		}
		// Not inside the callback: it holds the descriptor, and a handler that
		// closes the connection would wait for itself.
		buf := r.buf
		r.buf = nil
		if err := c.receive(h, (*buf)[:r.n], buf); err != nil {
			return err
		}
	}
}

// A rawReader is the result of one read.
type rawReader struct {
	buf *buffer // not nil if n bytes were read into it
	n   int
	err error
	// The last read filled a small buffer, so the next one gets a large buffer.
	expectMore bool
}

// read is called by [syscall.RawConn.Read]. It reads once and reports whether it
// was able to; if not, the runtime calls it again when there is input.
func (r *rawReader) read(fd uintptr) bool {
	buf := r.takeBuffer()
	n, err := retry(syscall.Read, fd, *buf)
	if err == nil && n > 0 {
		r.buf, r.n, r.expectMore = buf, n, n >= smallSize
		return true
	}
	putBuffer(buf)
	switch err { //nolint:errorlint // system calls return plain errors
	case syscall.EAGAIN:
		return false
	case nil:
		r.err = io.EOF
	default:
		r.err = os.NewSyscallError("read", err)
	}
	return true
}

func (r *rawReader) takeBuffer() *buffer {
	if r.expectMore {
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
