package websocket_test

import (
	"bytes"
	stdflate "compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/websocket"
)

const (
	rsv1    = 0x40
	flushed = "\x00\x00\xff\xff"               // what senders leave out at the end of a message
	ended   = flushed + "\x01\x00\x00\xff\xff" // what makes readers end there
)

func agree(tb testing.TB, d *websocket.Deflate, offer string) *websocket.Agreement {
	tb.Helper()
	a := d.Accept(canonical(http.Header{extensions: {offer}}))
	if a == nil {
		tb.Fatalf("the offer %q is declined", offer)
	}
	return a
}

// compressing returns a connection that has accepted the offer.
func compressing(tb testing.TB, nc net.Conn, o websocket.DeflateOptions, offer string) *websocket.Conn {
	tb.Helper()
	c := websocket.New(nc, limit, nil)
	c.Compress(agree(tb, websocket.NewDeflate(o), offer))
	return c
}

// A deflating is a client that compresses as zlib would: its state lives as long
// as the context. The window of the standard library cannot be changed.
type deflating struct {
	takeover bool
	out      bytes.Buffer
	w        interface {
		io.Writer
		Flush() error
		Reset(io.Writer)
	}
}

func newDeflating(tb testing.TB, takeover bool, bits int) *deflating {
	tb.Helper()
	d := &deflating{takeover: takeover}
	var err error
	if bits == 15 {
		d.w, err = stdflate.NewWriter(&d.out, 6)
	} else {
		d.w, err = flate.NewWriterWindow(&d.out, 1<<bits)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func (d *deflating) compress(message string) string {
	d.out.Reset()
	if !d.takeover {
		d.w.Reset(&d.out)
	}
	if _, err := io.WriteString(d.w, message); err != nil {
		panic(err)
	}
	if err := d.w.Flush(); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(d.out.String(), flushed)
}

// An inflating is a client that decompresses and remembers no more than its
// window, so that whoever refers to something older is found out.
type inflating struct {
	takeover bool
	window   int
	history  []byte
}

func (i *inflating) decompress(p []byte) (string, error) {
	r := stdflate.NewReaderDict(io.MultiReader(bytes.NewReader(p), strings.NewReader(ended)), i.history)
	message, err := io.ReadAll(r)
	if i.takeover {
		i.history = append(i.history, message...)
		i.history = i.history[max(0, len(i.history)-i.window):]
	}
	return string(message), err
}

// message reads one message of the server. compressed tells how it came.
func (i *inflating) message(r io.Reader) (message string, compressed bool, err error) {
	f, err := ws.ReadFrame(r)
	switch {
	case err != nil:
		return "", false, err
	case f.Header.Rsv == 0:
		return string(f.Payload), false, nil
	case f.Header.Rsv != 4 || !f.Header.Fin || f.Header.OpCode != ws.OpText && f.Header.OpCode != ws.OpBinary:
		return "", false, fmt.Errorf("a frame with the header %+v", f.Header)
	}
	message, err = i.decompress(f.Payload)
	return message, true, err
}

// A sink takes what a server writes.
type sink struct {
	net.Conn
	bytes.Buffer
}

func (s *sink) Read(p []byte) (int, error)  { return s.Buffer.Read(p) }
func (s *sink) Write(p []byte) (int, error) { return s.Buffer.Write(p) }

// json returns n bytes of something that is worth compressing.
func json(n int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 0))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, `{"id":%d,"user":"user%d","text":"hello %x","price":%.2f,"ok":true},`,
			r.IntN(100_000), r.IntN(100), r.Uint32(), 100*r.Float64())
	}
	return b.String()[:n]
}

// noise returns n bytes of something that is not.
func noise(n int, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 1))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return string(p)
}

func binaryFrame(payload string) *frame.Frame {
	return frame.Binary(append(frame.Buffer(len(payload)), payload...))
}

// stdInflate decompresses as this package should, with the standard library.
func stdInflate(p, window []byte, limit int) ([]byte, error) {
	if len(p) == 0 {
		return nil, nil
	}
	in := bytes.NewReader(append(bytes.Clone(p), ended...))
	var out []byte
	for range 16 {
		history := append(bytes.Clone(window), out...)
		r := stdflate.NewReaderDict(in, history)
		part, err := io.ReadAll(io.LimitReader(r, int64(limit-len(out)+1)))
		if out = append(out, part...); len(out) > limit {
			return nil, errors.New("too long")
		}
		if err != nil {
			return nil, errors.New("invalid")
		}
		if in.Len() <= len(ended) {
			return out, nil
		}
	}
	return nil, errors.New("invalid")
}
