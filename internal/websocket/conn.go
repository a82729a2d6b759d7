package websocket

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/parking"
	"github.com/sioplug/sioplug/internal/rescue"
)

// waitSize is the size of the buffer that a connection holds while it waits, if it cannot
// wait without one. It has room for many small packets, and crypto/tls itself holds much
// more.
const waitSize = 2 << 10

// A Handler receives messages and control frames. [Conn.Serve] makes all the calls, one
// at a time, on its own goroutine. A call that waits stops the reading, and so the peer.
// The handler may call all methods of the Conn except Serve.
type Handler interface {
	// Message receives a whole message. A text message is valid UTF-8. p is
	// valid only during the call, and may be changed.
	Message(binary bool, p []byte)

	// Control receives a frame that the connection owes the peer: the pong to a
	// ping, the echo of a close frame. It has to be queued for [Conn.Write].
	Control(f *frame.Frame)

	// ReadDone is called when everything from one read has been handed over. It is
	// the moment to handle the messages, and to write all the answers at once. It
	// reports whether this goroutine goes on reading. If not, Serve returns
	// [ErrHandedOff] and does not use the Conn any more. From then on, and while
	// ReadDone runs, another goroutine may call Serve to take over.
	ReadDone() (goOn bool)
}

// ErrHandedOff is returned by [Conn.Serve] when another goroutine reads, or will.
var ErrHandedOff = errors.New("websocket: another goroutine reads this connection")

// The states of a Conn. It never goes back to an earlier one.
const (
	stateOpen       = iota
	stateDiscarding // input is discarded
	statePeerClosed // the peer has sent its close frame, so there is no more input
	stateClosed
)

// A Conn is one end of a WebSocket connection after the opening handshake: that of the
// server if it was made with [New], that of the client if it was made with [NewClient].
// End it with [Conn.Close].
//
// Serve, the writing methods (Write, Drain, Prepend) and the closing ones
// (Close, CloseWithin) may be used from three sides at the same time. The
// writing methods must not be called concurrently with each other.
//
// There is one for every client, so its size matters; a test watches it.
type Conn struct {
	nc net.Conn

	// The fields for writing stand together. Of thousands of connections, none is in
	// a processor's cache when a broadcast comes to it.
	raw         syscall.RawConn // nil if nc has to be read and written by its own methods
	compression *compression    // nil if none was agreed upon
	out         pendingWrite    // waits for Drain; before the first Write, the bytes given to Prepend
	state       atomic.Uint32

	// The state of Serve is here and not on its stack, so that another goroutine can
	// parse the next read.
	op         ws.OpCode // of the message that has begun; ws.OpContinuation if none has
	fin        bool      // the current frame ends the message
	compressed bool      // the message is
	client     bool      // this is the client's end: it masks what it sends
	maskPos    uint8     // position in mask of the next payload byte
	mask       [4]byte   // of the current frame
	remaining  int       // payload bytes of the current frame yet to come
	validLen   int       // bytes at the beginning of msg that are known to be UTF-8
	maxMessage int       // bytes that a message may have
	msg        []byte    // the part that has come of an incomplete message
	unparsed   []byte    // received and not parsed: sent ahead, or the beginning of a frame
	readErr    error     // the result of Serve, for whichever goroutine calls it next

	place *parking.Place // for Park; nil: it is never parked
}

// New returns a connection over nc, on which the opening handshake has been
// read. A message longer than maxMessage bytes, in all its fragments and
// decompressed, ends the connection. ahead are bytes that came behind the
// handshake already; the Conn takes them over. The Conn also takes over nc,
// which nothing else may read, write or close from now on, and on which no
// deadline may be set.
func New(nc net.Conn, maxMessage int, ahead []byte) *Conn {
	return &Conn{nc: nc, raw: rawConn(nc), maxMessage: maxMessage, unparsed: ahead}
}

// NewClient is like [New] for the client's end.
func NewClient(nc net.Conn, maxMessage int, ahead []byte) *Conn {
	c := New(nc, maxMessage, ahead)
	c.client = true
	return c
}

// Serve reads until the connection ends, and calls h. It returns why the connection
// ended; the error is never nil. The caller has to close the connection.
//
//   - A *[CloseError]: the peer sent a close frame. Its echo has been given to h.
//   - A *[ProtocolError]: the peer broke the protocol. The caller should send
//     a close frame with the error's code.
//   - [net.ErrClosed]: Close was called.
//   - [ErrHandedOff]: ReadDone returned false.
//   - Anything else is the error of the network connection; io.EOF if the peer
//     went away without a close frame.
//
// After the first two, and after [Conn.CloseWithin], nothing more is handed
// over. To let a close frame get through to a peer that is still sending, write
// it, call CloseWithin, then [Conn.Discard] if Serve has returned, and then
// Close: a socket that is closed with unread input is reset, which may take the
// close frame with it.
func (c *Conn) Serve(h Handler) error { return c.ServeFrom(nil, h) }

// ServeFrom is [Conn.Serve] after [Conn.AwaitInput], which has returned in on the same
// goroutine.
func (c *Conn) ServeFrom(in *Input, h Handler) error {
	if c.readErr != nil {
		return c.readErr
	}
	if ahead := c.unparsed; len(ahead) > 0 {
		c.unparsed = nil
		if err := c.receive(h, ahead, nil); err != nil {
			return err
		}
	}
	if c.raw != nil {
		return c.serveRaw(in, h)
	}
	return c.serveBuffered(h)
}

// serveBuffered is the loop of Serve for connections like TLS, which cannot
// wait without a buffer. They wait with a small one, and with a larger one in
// the middle of a large frame. Its header alone does not get it.
func (c *Conn) serveBuffered(h Handler) error {
	small := make([]byte, waitSize)
	for {
		p := small
		var large *buffer
		if min(len(c.msg), c.remaining) > len(small) {
			large = getBuffer()
			p = *large
		}
		n, err := c.nc.Read(p)
		if perr := c.receive(h, p[:n], large); perr != nil {
			return perr
		}
		if err != nil {
			return c.connError(err)
		}
	}
}

// receive parses the bytes of one read and calls h. borrowed is the buffer that they are
// in. It is given back before ReadDone, so that a ReadDone that waits holds no buffer.
func (c *Conn) receive(h Handler, p []byte, borrowed *buffer) error {
	if len(p) == 0 || c.state.Load() != stateOpen {
		putBuffer(borrowed)
		return nil
	}
	err := c.parse(h, p)
	putBuffer(borrowed)
	c.readErr = err
	if goOn := h.ReadDone(); !goOn {
		return ErrHandedOff
	}
	return err
}

// Close ends the connection at once. It is safe to call from any goroutine and
// more than once; only the first call has an effect. Serve and Drain return.
func (c *Conn) Close() error {
	if c.state.Swap(stateClosed) == stateClosed {
		return nil
	}
	// The Close of a TLS connection first sends an alert, and waits seconds for
	// a peer that does not read. CloseWithin is the way to say goodbye.
	nc := c.nc
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	err := c.callConn(nc.Close)
	c.resume()
	return err
}

// callConn calls a method of the network connection. If the connection is not one of
// package net, it may be the application's, and is called through the edge.
func (c *Conn) callConn(f func() error) error {
	if c.raw != nil {
		return f()
	}
	return rescue.Apart(f)
}

// CloseWithin is the orderly end, to be called when a close frame has been
// written and drained. It tells the peer that nothing more will come, where the
// network connection can, and lets Serve discard input until the peer has
// closed its side too, or until d has passed, when everything still waiting
// fails. Then Serve returns and its caller calls Close. If the peer has sent its
// close frame, there is nothing to wait for on a plain socket: it is closed at
// once. Only a peer that sends more behind its close frame may see a reset then.
//
// It may be called from any goroutine; calling it again moves the deadline. It
// does not wait, except on a TLS connection whose peer has stopped reading, for
// the five seconds that crypto/tls gives its closing alert.
func (c *Conn) CloseWithin(d time.Duration) {
	if !c.state.CompareAndSwap(stateOpen, stateDiscarding) {
		switch c.state.Load() {
		case stateClosed:
			return
		case statePeerClosed:
			_ = c.Close()
			return
		}
	}
	err := c.callConn(func() error { return c.nc.SetDeadline(time.Now().Add(d)) })
	if err != nil {
		_ = c.Close() // nothing else would ever end it
		return
	}
	c.CloseWrite()
	c.resume()
}

// CloseWrite tells the peer that nothing more will come, where the network connection can.
// Serve goes on, and hands over what comes. It does not wait, with the exception that
// CloseWithin has.
func (c *Conn) CloseWrite() {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = c.callConn(half.CloseWrite) // it fails if the peer is gone, which Serve will see
	}
}

// connError returns the error to report for an error of the network connection. After
// Close it is [net.ErrClosed] for all kinds of connections.
func (c *Conn) connError(err error) error {
	if c.state.Load() == stateClosed {
		return net.ErrClosed
	}
	return err
}
