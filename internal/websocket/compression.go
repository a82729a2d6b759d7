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
	ServerContextTakeover bool // for what we send
	ClientContextTakeover bool // for what we receive

	// The largest windows to be used, as powers of two from 8 to 15.
	ServerMaxWindowBits int
	ClientMaxWindowBits int
}

// A Deflate compresses messages for any number of connections
// (permessage-deflate, RFC 7692).
//
// What compressing needs, nearly a megabyte, and decompressing, 50 KiB, is
// borrowed from pools for one message. With a context takeover too: a
// connection then keeps no state of the algorithm, but the last bytes that went
// over it, of which the state is made again. That takes more time for each
// message, in proportion to the window, and a thirtieth of the memory.
type Deflate struct {
	opts      DeflateOptions
	deflaters [maxWindowBits + 1]sync.Pool // by the size of the window
}

// NewDeflate returns a Deflate; the options must be complete and valid.
func NewDeflate(opts DeflateOptions) *Deflate { return &Deflate{opts: opts} }

// Accept returns what comes of the client's offers to compress, nil if nothing
// does, be it for syntax: declining is no error. The first acceptable offer
// counts. A nil Deflate does not look at them.
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

// answer returns what to answer to an offer (RFC 7692 section 7.1); ok is
// false if that is nothing.
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

// smallerWindow returns the smaller window of an offer, which may have none, and of
// the options; 0 if that is the largest there is, and goes without saying.
func smallerWindow(offered, bits int) int {
	if offered != 0 && offered < bits {
		bits = offered
	}
	if bits == maxWindowBits && offered == 0 {
		return 0
	}
	return bits
}

// An Agreement is what client and server have agreed upon in the handshake.
type Agreement struct {
	deflate *Deflate
	params  parameters
}

// A compression is what a connection needs to know of it: a few bytes, unless
// there is a context takeover.
type compression struct {
	deflate *Deflate
	in, out *window // nil without context takeover
	outBits uint8

	// shared: what we send does not depend on the connection.
	shared bool
}

// Compress makes the connection do what was agreed upon, if anything. It must
// be called before anything is read or written.
func (c *Conn) Compress(a *Agreement) {
	if a == nil {
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
		return f // not in the window either: the peer does not see it with its inflater
	}
	z.out.add(f.Payload())
	return f.Deflated(p)
}
