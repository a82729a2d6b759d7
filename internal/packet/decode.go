package packet

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/sioplug/sioplug/internal/rawjson"
)

// DefaultMaxAttachments is how many attachments a packet may have unless a
// [Decoder] says otherwise (SIO-BIN-7).
const DefaultMaxAttachments = 10

// maxKeptNamespace is the longest namespace in bytes that a Decoder keeps between packets,
// so that a peer cannot make each connection keep a long one.
const maxKeptNamespace = 64

// A Decoder turns the messages of one connection into packets. The zero
// Decoder is ready for use. It is not safe for concurrent use.
//
// Every error is final for the connection, and leaves the Decoder without a
// half-received packet.
type Decoder struct {
	// MaxAttachments is how many attachments one packet may have. Zero means
	// [DefaultMaxAttachments], a negative number none at all.
	MaxAttachments int

	// MaxBytes bounds the attachments of one packet together, in bytes. Zero
	// means that only the transport bounds each of them.
	MaxBytes int

	// Space is memory for the payload of the next text message. If the payload fits, it
	// is copied there, and the memory belongs to the packet from then on. Otherwise
	// the Decoder allocates memory.
	Space []byte

	namespace string   // of the last packet: usually that of the next one, too
	pending   *pending // nil unless attachments are missing
}

// pending is a packet whose attachments have not all arrived.
type pending struct {
	packet Packet
	want   int // attachments altogether
	bytes  int // in the attachments so far
}

var pendings = sync.Pool{New: func() any { return new(pending) }} //nolint:gochecknoglobals // they are empty in there

// Text decodes a text message. It reports whether a packet is complete; if not,
// it waits for [Decoder.Binary]. Text does not keep p, which the caller may
// reuse when it returns.
func (d *Decoder) Text(p []byte) (Packet, bool, error) {
	if d.pending != nil { // SIO-BIN-2
		d.Reset()
		return Packet{}, false, ErrUnexpectedText
	}
	typ, p, err := cutType(p)
	if err != nil {
		return Packet{}, false, err
	}
	want := 0
	if typ == binaryEvent || typ == binaryAck {
		if want, p, err = cutAttachments(p, d.Attachments()); err != nil {
			return Packet{}, false, err
		}
		typ -= binaryEvent - Event
	}
	pkt := Packet{Type: typ}
	if !utf8.Valid(p) {
		return Packet{}, false, ErrInvalidPayload
	}
	pkt.Namespace, p = d.cutNamespace(p)
	if pkt.ID, pkt.HasID, p, err = cutID(p); err != nil {
		return Packet{}, false, err
	}
	if !pkt.setPayload(p, d.Space) {
		return Packet{}, false, ErrInvalidPayload
	}
	if want > 0 {
		if !takePlaceholders(&pkt.Args, want) {
			return Packet{}, false, ErrPlaceholder
		}
		d.pending = pendings.Get().(*pending) //nolint:forcetypeassert,errcheck // nothing else is in there
		d.pending.packet, d.pending.want = pkt, want
		return Packet{}, false, nil
	}
	return pkt, true, nil
}

// Binary takes the next attachment of the packet that the last text message
// announced, and reports whether it was the last one (SIO-BIN-1). It does not
// keep p.
func (d *Decoder) Binary(p []byte) (Packet, bool, error) {
	w := d.pending
	if w == nil {
		return Packet{}, false, ErrUnexpectedBinary // SIO-BIN-3
	}
	w.bytes += len(p)
	if d.MaxBytes > 0 && w.bytes > d.MaxBytes {
		d.Reset()
		return Packet{}, false, ErrAttachmentBytes
	}
	args := &w.packet.Args
	// The count in the text message is not trusted: memory grows with the received
	// attachments. An empty attachment must not be nil, which would decode as null.
	args.attachments = append(args.attachments, append([]byte{}, p...))
	if len(args.attachments) < w.want {
		return Packet{}, false, nil
	}
	pkt := w.packet
	d.Reset()
	return pkt, true, nil
}

// Reset drops a half-received packet, if there is one (SIO-BIN-9).
func (d *Decoder) Reset() {
	if d.pending != nil {
		*d.pending = pending{}
		pendings.Put(d.pending)
		d.pending = nil
	}
}

// Attachments returns how many attachments a packet may have.
func (d *Decoder) Attachments() int {
	if d.MaxAttachments == 0 {
		return DefaultMaxAttachments
	}
	return min(max(d.MaxAttachments, 0), math.MaxInt32)
}

// cutType returns the packet type at the start of p and the rest of p.
func cutType(p []byte) (Type, []byte, error) {
	if len(p) == 0 {
		return 0, nil, ErrEmpty
	}
	switch c := p[0]; {
	case !rawjson.IsDigit(c):
		return 0, nil, errors.New("unknown packet type NaN")
	case c-'0' > byte(binaryAck):
		return 0, nil, errors.New("unknown packet type " + string(rune(c)))
	default:
		return Type(c - '0'), p[1:], nil
	}
}

// cutAttachments returns the number of attachments at the start of p, which is
// followed by a dash (SIO-ENC-1), and the rest of p.
func cutAttachments(p []byte, limit int) (int, []byte, error) {
	i, n, tooMany := 0, int64(0), false
	for ; i < len(p) && rawjson.IsDigit(p[i]); i++ {
		if n = n*10 + int64(p[i]-'0'); n > int64(limit) {
			n, tooMany = int64(limit), true // and no further, lest it overflow
		}
	}
	switch {
	case i == len(p) || p[i] != '-' || n == 0 && !tooMany:
		return 0, nil, ErrAttachmentCount
	case tooMany:
		return 0, nil, ErrTooManyAttachments
	}
	return int(n), p[i+1:], nil
}

// cutNamespace returns the namespace at the start of p, and what stands behind
// its comma.
func (d *Decoder) cutNamespace(p []byte) (string, []byte) {
	if len(p) == 0 || p[0] != '/' {
		return "/", p
	}
	ns, rest, _ := bytes.Cut(p, []byte{','})
	if string(ns) == d.namespace {
		return d.namespace, rest
	}
	if len(ns) > maxKeptNamespace {
		return string(ns), rest
	}
	d.namespace = string(ns)
	return d.namespace, rest
}

// cutID returns the ack id at the start of p, if there is one, and the rest of
// p (SIO-ENC-3).
func cutID(p []byte) (id uint64, ok bool, rest []byte, err error) {
	i := 0
	for ; i < len(p) && rawjson.IsDigit(p[i]); i++ {
		if id = id*10 + uint64(p[i]-'0'); id > MaxID {
			return 0, false, nil, ErrInvalidPayload
		}
	}
	return id, i > 0, p[i:], nil
}

// Build returns p, which has a header, with a payload that was not a text message: JSON,
// or nil, and attachments. Both are checked like those of a text message, and the JSON is
// copied. Each attachment has one placeholder, whose name has no escapes: see package
// rawjson.
//
// In the payload of a CONNECT, attachments become strings in base64, because codecs decode
// it.
func Build(p Packet, data []byte, attachments [][]byte) (Packet, error) {
	if p.ID > MaxID || !utf8.Valid(data) || !p.setPayload(data, nil) {
		return Packet{}, ErrInvalidPayload
	}
	if len(attachments) == 0 {
		return p, nil
	}
	if p.Data != nil {
		if !rawjson.EachOnce(p.Data, len(attachments)) {
			return Packet{}, ErrPlaceholder
		}
		p.Data = rawjson.AppendBase64(nil, p.Data, attachments)
		return p, nil
	}
	if !rawjson.EachOnce(p.Args.raw, len(attachments)) {
		return Packet{}, ErrPlaceholder
	}
	p.Args.attachments = slices.Clone(attachments)
	for i, a := range p.Args.attachments {
		if a == nil { // which would decode as null
			p.Args.attachments[i] = []byte{}
		}
	}
	return p, nil
}

// setPayload checks and copies the JSON of a packet whose type is known
// (SIO-BIN-8: long before any attachment arrives), to space if it fits.
func (k *Packet) setPayload(p, space []byte) bool {
	if len(p) == 0 {
		return k.Type != Event
	}
	switch k.Type {
	case Connect:
		return p[0] == '{' && k.setData(p)
	case ConnectError:
		return (p[0] == '{' || p[0] == '"') && k.setData(p)
	case Event, Ack:
		return k.setList(p, space)
	case Disconnect: // has no payload
		return false
	case binaryEvent, binaryAck: // are an Event and an Ack here
	}
	return false
}

func (k *Packet) setData(p []byte) bool {
	if !rawjson.Scan(p, MaxDepth) {
		return false
	}
	k.Data = bytes.Clone(p)
	return true
}

// setList takes the arguments from an array, and of an event the name first.
func (k *Packet) setList(p, space []byte) bool {
	l, ok := rawjson.ScanList(p, MaxDepth)
	if !ok || l.N > math.MaxInt32 {
		return false
	}
	if k.Type == Ack {
		k.Args = Args{raw: bytes.Clone(p[1 : l.End-1]), n: int32(l.N)} //nolint:gosec // see above
		return true
	}
	return l.N > 0 && k.setEvent(p[l.First:l.End-1], space, l.FirstEnd-l.First, int32(l.N-1))
}

// setEvent takes the name, the first size bytes of p, and n more values after it. Name and
// arguments are copied into one allocation without the space between them, so that all
// kept bytes are counted.
func (k *Packet) setEvent(p, space []byte, size int, n int32) bool {
	name, args := p[:size], p[:0]
	quoted := name[0] == '"'
	if !quoted && !rawjson.IsDigit(name[0]) && name[0] != '-' {
		return false
	}
	if n > 0 {
		args = p[rawjson.SkipSpace(p, size)+1:] // behind the comma
	}
	if quoted {
		name = name[1 : size-1]
	}
	buf, lent := bufferFor(space, len(name)+len(args))
	if quoted {
		buf = rawjson.AppendUnescaped(buf, name) // never longer
	} else {
		buf = append(buf, name...)
	}
	end := len(buf)
	buf = append(buf, args...)
	if cap(buf)-len(buf) > maxWaste { // there were many escapes
		buf = bytes.Clone(buf)
	}
	k.Name = buf[:end:end]
	k.Args.lent = lent
	if n > 0 {
		k.Args.raw, k.Args.n = buf[end:], n
	}
	return !quoted || !Reserved(k.Name)
}

// maxWaste is how many bytes of a packet's memory may be unused.
const maxWaste = 64

// bufferFor returns an empty slice for n bytes. It uses space if that is large enough, and
// reports whether it did.
func bufferFor(space []byte, n int) (buf []byte, lent bool) {
	if space == nil || cap(space) < n {
		return make([]byte, 0, n), false
	}
	return space[:0:n], true
}
