package redisadapter

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Redis is spoken to in the protocol RESP2, over connections that go-redis has opened and
// authenticated: see server.dial. So this package knows what was written, and for which
// part of it no answer has come.

const (
	// maxBulk is the size of the largest message. Larger ones are refused.
	maxBulk = 64 << 20

	// maxNested is how deep a reply can be nested: that of XREAD is five deep.
	maxNested = 8

	// maxItems bounds the elements of one array.
	maxItems = 1 << 20

	maxLine     = 64 << 10 // of an error's text, or a number
	readBuffer  = 32 << 10
	maxBrief    = 1 << 10 // of a channel's name, to be read into a buffer that is used again
	minElements = 4
)

var (
	errProtocol = errors.New("redisadapter: what Redis has sent is no reply")
	errTooLarge = fmt.Errorf("redisadapter: the message has more than %d bytes", maxBulk)
)

// A reply is what Redis answers.
type reply struct {
	kind  byte    // one of + - : $ *
	null  bool    // of kinds $ and *
	large bool    // the text was larger than maxBulk and was skipped; also if that of an element was
	n     int64   // of kind :
	text  []byte  // of kinds + - $
	items []reply // of kind *
}

// A serverError is an error that Redis replies with.
type serverError string

func (e serverError) Error() string { return "redis: " + string(e) }

func (r *reply) err() error {
	if r.kind == '-' {
		return serverError(r.text)
	}
	return nil
}

// A replyReader reads replies.
type replyReader struct {
	r     *bufio.Reader
	items []reply // reused for the elements of the next array
	names []byte  // reused for the texts of its elements, but the last one
}

func newReplyReader(r io.Reader) *replyReader {
	return &replyReader{r: bufio.NewReaderSize(r, readBuffer), items: make([]reply, 0, minElements)}
}

// next reads a reply. If it is an array, its elements are valid until the next call. The
// text of the last one stays valid.
func (r *replyReader) next() (reply, error) {
	r.names = r.names[:0]
	return r.value(0, false)
}

// value reads a reply at that depth. brief says that its text need not stay valid.
func (r *replyReader) value(depth int, brief bool) (reply, error) {
	line, err := r.line()
	if err != nil {
		return reply{}, err
	}
	v := reply{kind: line[0]}
	switch v.kind {
	case '+', '-':
		v.text = append([]byte(nil), line[1:]...)
		return v, nil
	case ':':
		v.n, err = number(line[1:])
		return v, err
	case '$', '*':
	default:
		return reply{}, errProtocol
	}
	n, err := number(line[1:])
	if err != nil {
		return reply{}, err
	}
	switch {
	case n < 0:
		v.null = true
		return v, nil
	case v.kind == '$':
		err = r.bulk(&v, n, brief)
	case depth == maxNested || n > maxItems:
		err = errProtocol
	default:
		err = r.array(&v, int(n), depth)
	}
	return v, err
}

func (r *replyReader) array(v *reply, n, depth int) error {
	if depth == 0 {
		v.items = r.items[:0]
	}
	for i := range n {
		item, err := r.value(depth+1, depth == 0 && i < n-1)
		if err != nil {
			return err
		}
		v.large = v.large || item.large
		v.items = append(v.items, item)
	}
	if depth == 0 && cap(v.items) <= readBuffer {
		r.items = v.items
	}
	return nil
}

func (r *replyReader) bulk(v *reply, n int64, brief bool) error {
	if free := cap(r.names) - len(r.names); brief && n <= maxBrief {
		if int(n) > free {
			r.names = make([]byte, 0, max(2*maxBrief, int(n))) // the texts read so far keep the former one
		}
		v.text = r.names[len(r.names) : len(r.names)+int(n)]
		r.names = r.names[:len(r.names)+int(n)]
		if _, err := io.ReadFull(r.r, v.text); err != nil {
			return err
		}
	} else if n > maxBulk {
		v.large = true
		if _, err := io.CopyN(io.Discard, r.r, n); err != nil {
			return err
		}
	} else {
		v.text = make([]byte, n)
		if _, err := io.ReadFull(r.r, v.text); err != nil {
			return err
		}
	}
	_, err := r.r.Discard(len("\r\n"))
	return err
}

// line returns a line without its end. It has at least one byte.
func (r *replyReader) line() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errProtocol
	}
	if err != nil {
		return nil, err
	}
	if len(line) < len("+\r\n") || line[len(line)-2] != '\r' || len(line) > maxLine {
		return nil, errProtocol
	}
	return line[:len(line)-len("\r\n")], nil
}

func number(b []byte) (int64, error) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, errProtocol
	}
	return n, nil
}

// appendCommand appends a command with its arguments.
func appendCommand(dst []byte, args ...string) []byte {
	dst = appendHead(dst, len(args))
	for _, a := range args {
		dst = appendBulk(dst, a)
	}
	return dst
}

func appendHead(dst []byte, args int) []byte {
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(args), 10)
	return append(dst, "\r\n"...)
}

func appendBulk[T string | []byte](dst []byte, text T) []byte {
	dst = append(dst, '$')
	dst = strconv.AppendInt(dst, int64(len(text)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, text...)
	return append(dst, "\r\n"...)
}
