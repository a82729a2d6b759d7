package websocket

import (
	"net/http"
	"slices"
	"sync"

	"github.com/sioplug/sioplug/internal/frame"
)

// DeflateOptions are the settings of [NewDeflate].
type DeflateOptions struct {
	// Threshold is the number of bytes from which on a message is compressed.
	Threshold int

	// Level is how hard to try, from 1 to 9.
	Level int

	// With a context takeover, messages are compressed with the knowledge of
	// earlier ones. It costs memory for every connection: up to a window.
	ServerContextTakeover bool // for messages to the client
	ClientContextTakeover bool // for messages from the client

	// The largest windows to be used, as powers of two from 8 to 15.
	ServerMaxWindowBits int
	ClientMaxWindowBits int
}

// A Deflate compresses messages for any number of connections
// (permessage-deflate, RFC 7692).
//
// The memory of the algorithm comes from pools, for one message at a time: nearly 1 MB
// for compressing and 50 KiB for decompressing. With a context takeover, a connection
// keeps the last bytes that went over it, and the state of the algorithm is made from
// them for each message. That takes more time, in proportion to the window, and 1/30 of
// the memory of keeping the state.
type Deflate struct {
	opts      DeflateOptions
	deflaters [maxWindowBits + 1]sync.Pool // by the size of the window
}

// NewDeflate returns a Deflate; the options must be complete and valid.
func NewDeflate(opts DeflateOptions) *Deflate { return &Deflate{opts: opts} }

// Accept returns the agreement that answers the client's offers to compress. It accepts
// the first offer that it can. It returns nil if there is none, or if an offer has bad
// syntax. A nil Deflate accepts none.
func (d *Deflate) Accept(h http.Header) *Agreement {
	if d == nil {
		return nil
	}
	var a *Agreement
	deflateOffers(h, func(offered string) bool {
		p, ok := parseOffer(offered)
		if ok {
			p, ok = d.answer(p)
		}
		if ok {
			a = &Agreement{deflate: d, params: p}
		}
		return !ok
	})
	return a
}

// answer returns the parameters that answer an offer (RFC 7692 section 7.1). ok is false
// if the offer is declined.
func (d *Deflate) answer(p parameters) (_ parameters, ok bool) {
	p.serverNoTakeover = p.serverNoTakeover || !d.opts.ServerContextTakeover
	p.clientNoTakeover = p.clientNoTakeover || !d.opts.ClientContextTakeover
	p.serverBits = smallerWindow(p.serverBits, d.opts.ServerMaxWindowBits)
	clientBits := smallerWindow(p.clientBits, d.opts.ClientMaxWindowBits)
	if clientBits != p.clientBits && !p.clientBitsKnown {
		return p, false // the client would not understand the limit
	}
	p.clientBits = clientBits
	return p, true
}

// smallerWindow returns the smaller one of two windows: that of an offer, 0 for none, and
// that of the options. It returns 0 if the answer need not name one.
func smallerWindow(offered, bits int) int {
	if offered != 0 && offered < bits {
		bits = offered
	}
	if bits == maxWindowBits && offered == 0 {
		return 0
	}
	return bits
}

// An Agreement has the parameters that client and server have agreed on in the
// handshake.
type Agreement struct {
	deflate *Deflate
	params  parameters
}

// A compression is a connection's part: a few bytes, unless there is a context
// takeover.
type compression struct {
	deflate *Deflate
	in, out *window // nil without context takeover
	outBits uint8

	// shared: compressed messages to the client are the same on all connections.
	shared bool
}

// Compress turns compression on, unless a is nil. It must be called before the first
// read and write.
func (c *Conn) Compress(a *Agreement) {
	if a == nil {
		return
	}
	if c.client {
		c.compression = clientCompression(a)
		return
	}
	z := &compression{deflate: a.deflate, outBits: maxWindowBits}
	if a.params.serverBits != 0 {
		z.outBits = uint8(a.params.serverBits) //nolint:gosec // at most 15
	}
	z.shared = a.params.serverNoTakeover && int(z.outBits) == a.deflate.opts.ServerMaxWindowBits
	if !a.params.serverNoTakeover {
		z.out = newWindow(int(z.outBits))
	}
	if !a.params.clientNoTakeover {
		z.in = newWindow(clientWindow(a.params.clientBits))
	}
	c.compression = z
}

// clientWindow returns how far back a client may refer. zlib cannot compress
// with a window of 256 bytes and silently takes the next larger one.
func clientWindow(bits int) int {
	if bits == 0 {
		return maxWindowBits
	}
	return max(bits, minWindowBits+1)
}

// compressAll returns frames in the form to send, leaving the slice as it is.
func (z *compression) compressAll(frames []*frame.Frame) []*frame.Frame {
	var out []*frame.Frame
	for i, f := range frames {
		g := z.compressOne(f)
		if g != f && out == nil {
			out = slices.Clone(frames)
		}
		if out != nil {
			out[i] = g
		}
	}
	if out == nil {
		return frames
	}
	return out
}

// compressOne returns f compressed, or f itself if that is not worthwhile.
func (z *compression) compressOne(f *frame.Frame) *frame.Frame {
	if f.Control() || f.Uncompressed() || len(f.Payload()) < z.deflate.opts.Threshold {
		return f
	}
	if !z.shared {
		return z.compress(f)
	}
	// Of several connections that come here at the same time, each may
	// compress; that is cheaper than a lock in every frame.
	g := f.Compressed()
	if g == nil {
		g = z.compress(f)
		f.SetCompressed(g)
	}
	return g
}

func (z *compression) compress(f *frame.Frame) *frame.Frame {
	pool := &z.deflate.deflaters[z.outBits]
	d, ok := pool.Get().(*deflater)
	if !ok {
		d = newDeflater(z.deflate.opts.Level, int(z.outBits))
	}
	defer pool.Put(d)
	p, ok := d.deflate(f.Payload(), z.out.bytes())
	if !ok {
		return f // it is not added to the window either: the peer does not decompress it
	}
	z.out.add(f.Payload())
	return f.Deflated(p)
}
