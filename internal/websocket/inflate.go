package websocket

import (
	"bufio"
	"errors"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
)

// inflateTail is put behind a compressed message: the empty block that the
// sender took away (RFC 7692 section 7.2.2), and another one that is marked as
// the last, for the reader to end.
const inflateTail = "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff"

// maxFinal is how many blocks of a message may be marked as the last one. Senders that
// cannot flush in another way mark one (RFC 7692 section 7.2.3.4). Behind such a block
// the reader has to start again, which costs time.
const maxFinal = 16

// inflateInput is the size of the pieces in which a message is decompressed.
const inflateInput = 4 << 10

// maxCompressed is the number of bytes that a compressed message may have if it
// may have limit bytes decompressed. Incompressible data gets a little longer; with small
// blocks and windows by less than this.
func maxCompressed(limit int) int { return limit + limit>>6 + 64 }

// deliverCompressed hands a compressed message over. Memory is borrowed for the
// call of the handler, except for a message that is longer than a buffer.
func (c *Conn) deliverCompressed(h Handler, binary bool, p []byte) error {
	buf := getBuffer()
	defer putBuffer(buf)
	msg, err := inflate((*buf)[:0], p, c.compression.in.bytes(), c.maxMessage)
	if err != nil {
		return err
	}
	c.compression.in.add(msg)
	if !binary && !utf8.Valid(msg) {
		return errNotUTF8()
	}
	h.Message(binary, msg)
	return nil
}

// inflate appends to dst, which is empty, the message that was compressed to p.
// The result has at most limit bytes, and no more are allocated. Invalid data gets the
// same code as text that is not UTF-8, as in the JavaScript server: RFC 7692 names no
// code.
func inflate(dst, p, window []byte, limit int) ([]byte, error) {
	i := getInflater()
	dst, err := i.message(dst, p, window, limit)
	i.put()
	switch {
	case err == nil:
		return dst, nil
	case errors.Is(err, errInflatedTooBig):
		return nil, errTooBig()
	default:
		return nil, &ProtocolError{codeNotUTF8, "invalid compressed data"}
	}
}

var (
	errInflatedTooBig = errors.New("decompressed, it is too long")
	errTooManyFinal   = errors.New("too many last blocks")
)

// An inflater decompresses one message at a time.
type inflater struct {
	r interface {
		io.Reader
		flate.Resetter
	}
	in   *bufio.Reader // flate reads from it without a call for every byte
	src  input
	over [1]byte
}

//nolint:gochecknoglobals // nothing is ever found in it again, like buffers
var inflaters sync.Pool

func getInflater() *inflater {
	i, ok := inflaters.Get().(*inflater)
	if !ok {
		i = new(inflater)
		i.in = bufio.NewReaderSize(&i.src, inflateInput)
		i.r, _ = flate.NewReader(i.in).(interface {
			io.Reader
			flate.Resetter
		})
	}
	return i
}

func (i *inflater) put() {
	i.src = input{}
	inflaters.Put(i)
}

// message is inflate with this inflater.
func (i *inflater) message(dst, p, window []byte, limit int) ([]byte, error) {
	if len(p) == 0 {
		return dst, nil // RFC 7692 section 7.2.3.6 has one byte; some leave that out too, and zlib accepts it
	}
	dst = dst[:0:min(cap(dst), limit)]
	i.src = input{p, inflateTail}
	i.in.Reset(&i.src)
	history := window
	for range maxFinal {
		if err := i.r.Reset(i.in, history); err != nil {
			return nil, err
		}
		var err error
		if dst, err = i.blocks(dst, limit); err != nil {
			return nil, err
		}
		if i.src.len()+i.in.Buffered() <= len(inflateTail) {
			return dst, nil
		}
		// The window goes on behind a last block as behind any other.
		both := newWindow(maxWindowBits)
		both.add(window)
		both.add(dst)
		history = both.bytes()
	}
	return nil, errTooManyFinal
}

// blocks appends to dst all that comes up to a last block.
func (i *inflater) blocks(dst []byte, limit int) ([]byte, error) {
	for {
		room := dst[len(dst):cap(dst)]
		full := len(room) == 0
		if full {
			room = i.over[:] // perhaps nothing more comes
		}
		n, err := i.r.Read(room)
		switch {
		case n == 0:
		case full && len(dst) == limit:
			return nil, errInflatedTooBig
		case full:
			size := min(max(2*len(dst), minGrow), limit)
			dst = append(append(make([]byte, 0, size), dst...), room[0])
		default:
			dst = dst[:len(dst)+n]
		}
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// An input is a message with the tail behind it.
type input struct {
	p    []byte
	tail string
}

func (s *input) len() int { return len(s.p) + len(s.tail) }

// Read implements [io.Reader].
func (s *input) Read(p []byte) (int, error) {
	if s.len() == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.p)
	s.p = s.p[n:]
	k := copy(p[n:], s.tail)
	s.tail = s.tail[k:]
	return n + k, nil
}
