package websocket_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/websocket"
)

// An agreement as Autobahn has them in section 13, with what the client may do.
type variant struct {
	o                              websocket.DeflateOptions
	offer                          string
	clientTakeover, serverTakeover bool
	clientBits, serverBits         int
}

func variants() []variant {
	return []variant{
		{safe(), pmd, false, false, 15, 15},
		{takeover(), pmd, true, true, 15, 15},
		{takeover(), pmd + "; client_no_context_takeover", false, true, 15, 15},
		{takeover(), pmd + "; server_no_context_takeover", true, false, 15, 15},
		{takeover(), pmd + "; server_max_window_bits=8; client_max_window_bits=8", true, true, 9, 8}, // as zlib's clients do
		{takeover(), pmd + "; server_max_window_bits=9; client_max_window_bits=9", true, true, 9, 9},
		{safe(), pmd + "; server_max_window_bits=9; client_max_window_bits=9", false, false, 9, 9},
		{bits(takeover(), 12, 11), pmd + "; client_max_window_bits", true, true, 11, 12},
		{bits(safe(), 10, 15), pmd, false, false, 15, 10},
	}
}

// A relay sends back every message and whatever is owed.
type relay struct {
	c      *websocket.Conn
	frames []*frame.Frame
}

func (r *relay) Message(binary bool, p []byte) {
	if binary {
		r.frames = append(r.frames, binaryFrame(string(p)))
	} else {
		r.frames = append(r.frames, textFrame(string(p)))
	}
}

func (r *relay) Control(f *frame.Frame) { r.frames = append(r.frames, f) }

func (r *relay) ReadDone() bool {
	if send(r.c, r.frames...) != nil {
		_ = r.c.Close()
	}
	r.frames = r.frames[:0]
	return true
}

// Messages of all sizes come back over a connection, in one frame and in many,
// however both sides compress.
func TestDeflateEcho(t *testing.T) { // 12 and 13, EIO-WD-1
	t.Parallel()
	var messages []string
	for _, n := range []int{0, 16, 64, 256, 1023, 1024, 4096, 8192, 16384, 32768, 65536, 131072} {
		messages = append(messages, json(n, uint64(n)), json(n, uint64(n)), strings.Repeat("*", n))
	}
	for i, v := range variants() {
		for _, size := range []int{1 << 20, 256, 7} {
			t.Run(fmt.Sprintf("13.%d frames of %d", i+1, size), func(t *testing.T) {
				t.Parallel()
				server, client := tcpPair(t)
				r := &relay{c: compressing(t, server, v.o, v.offer)}
				go func() { _ = r.c.Serve(r) }()
				d := newDeflating(t, v.clientTakeover, v.clientBits)
				in := &inflating{takeover: v.serverTakeover, window: 1 << v.serverBits}
				for _, message := range messages {
					go func(p []byte) { _, _ = client.Write(p) }(fragments(text, d.compress(message), size))
					got, compressed, err := in.message(client)
					if err != nil || got != message || compressed != (len(message) >= 1024) {
						t.Fatalf("%d bytes: %d came back, compressed: %v, %v", len(message), len(got), compressed, err)
					}
				}
			})
		}
	}
}

// sent returns what a connection sends for the frames, without a network.
func sent(t *testing.T, c *websocket.Conn, s *sink, in *inflating, frames ...*frame.Frame) (sizes []int) {
	t.Helper()
	if err := send(c, frames...); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		before := s.Len()
		got, compressed, err := in.message(s)
		if err != nil || got != string(f.Payload()) {
			t.Fatalf("%d bytes arrived instead of %d: %v", len(got), len(f.Payload()), err)
		}
		size := before - s.Len()
		if !compressed {
			size = -size
		}
		sizes = append(sizes, size)
	}
	return sizes
}

func TestDeflateThreshold(t *testing.T) { // EIO-WD-1, EIO-WD-2
	for _, threshold := range []int{1, 100, 1024} {
		o := safe()
		o.Threshold = threshold
		s := new(sink)
		c := compressing(t, s, o, pmd)
		sizes := sent(t, c, s, new(inflating),
			textFrame(strings.Repeat("a", threshold-1)), textFrame(strings.Repeat("a", max(threshold, 100))),
			binaryFrame(strings.Repeat("b", max(threshold, 100))), frame.Pong([]byte(strings.Repeat("c", 125))),
			textFrame(noise(2000, 1)), textFrame(json(2000, 1)))
		for i, want := range []bool{false, true, true, false, false, true} {
			if got := sizes[i] > 0; got != want {
				t.Errorf("threshold %d, frame %d: %d bytes, compressed: %v", threshold, i, sizes[i], got)
			}
		}
	}
}

// What was not compressed is not in the peer's window, and what is too old isn't
// either.
func TestDeflateWindow(t *testing.T) {
	for _, v := range variants() {
		s := new(sink)
		o := v.o
		o.Threshold = 1
		c := compressing(t, s, o, v.offer)
		in := &inflating{takeover: v.serverTakeover, window: 1 << v.serverBits}
		for i := range uint64(30) {
			message := json(int(100+i*i*5), i%7)
			if i%3 == 2 {
				message = noise(1000, i%2)
			}
			sent(t, c, s, in, textFrame(message))
		}
		twice := noise(5000, 1) + noise(5000, 1)
		if far := sent(t, c, s, in, binaryFrame(twice))[0] > 0; far != (v.serverBits > 12) {
			t.Errorf("%s: refers to something 5000 bytes ago: %v", v.offer, far)
		}
		first := sent(t, c, s, in, textFrame(json(1500, 99)))[0]
		again := sent(t, c, s, in, textFrame(json(1500, 99)))[0]
		if known := v.serverTakeover && v.serverBits >= 11; known != (again < first/4) {
			t.Errorf("%s: %d bytes, then %d", v.offer, first, again)
		}
		if !v.serverTakeover && again != first {
			t.Errorf("%s: %d bytes, then %d, without takeover", v.offer, first, again)
		}
	}
}

// A broadcast is compressed once for all who begin every message anew, and not
// at all for those who did not agree.
func TestDeflateBroadcast(t *testing.T) { // EIO-WD-3, EIO-WS-23
	d := websocket.NewDeflate(safe())
	f := textFrame(json(5000, 1))
	plain := string(f.Wire())
	newConn := func(offer string) (*websocket.Conn, *sink) {
		s := new(sink)
		c := websocket.New(s, limit, nil)
		if offer != "" {
			c.Compress(agree(t, d, offer))
		}
		return c, s
	}
	none, noneSink := newConn("")
	one, oneSink := newConn(pmd)
	two, twoSink := newConn(pmd + "; client_max_window_bits")
	small, smallSink := newConn(pmd + "; server_max_window_bits=9")

	sent(t, small, smallSink, new(inflating), f)
	if f.Compressed() != nil {
		t.Error("what was compressed with a small window is kept for all")
	}
	sent(t, one, oneSink, new(inflating), f)
	kept := f.Compressed()
	sent(t, two, twoSink, new(inflating), f)
	if kept == nil || kept == f || f.Compressed() != kept {
		t.Error("it was compressed twice")
	}
	sent(t, none, noneSink, new(inflating), f)
	if string(f.Wire()) != plain {
		t.Error("the frame was changed")
	}

	incompressible := textFrame(noise(5000, 1))
	sent(t, one, oneSink, new(inflating), incompressible)
	if incompressible.Compressed() != incompressible {
		t.Error("everybody has to find out that it cannot be compressed")
	}
}

// The slice is the caller's, and the others who write the frames do not wait.
func TestDeflateConcurrently(t *testing.T) { // EIO-WD-3
	d, long := websocket.NewDeflate(safe()), websocket.NewDeflate(takeover())
	frames := make([]*frame.Frame, 50)
	for i := range frames {
		frames[i] = textFrame(json(900+20*i, uint64(i)))
	}
	want := fmt.Sprint(frames)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			s := new(sink)
			c := websocket.New(s, limit, nil)
			in := &inflating{takeover: i%2 > 0, window: 1 << 15}
			c.Compress(agree(t, []*websocket.Deflate{d, long}[i%2], pmd))
			for rest := frames; len(rest) > 0; rest = rest[10:] {
				if err := send(c, rest[:10]...); err != nil {
					t.Error(err)
				}
			}
			for range frames {
				if _, _, err := in.message(s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := fmt.Sprint(frames); got != want {
		t.Error("the caller's slice was changed")
	}
}

// A peer who reads late gets compressed what was compressed.
func TestDeflateSlowReader(t *testing.T) {
	c, client := slowPair(t, networks()[0])
	c.Compress(agree(t, websocket.NewDeflate(takeover()), pmd))
	var want []string
	for blocked := false; !blocked; {
		message := json(10_000, uint64(len(want)))
		var err error
		if blocked, err = c.Write([]*frame.Frame{textFrame(message)}); err != nil {
			t.Fatal(err)
		}
		want = append(want, message)
	}
	go func() { _ = c.Drain() }()
	in := &inflating{takeover: true, window: 1 << 15}
	for i, message := range want {
		if got, compressed, err := in.message(client); got != message || !compressed || err != nil {
			t.Fatalf("message %d: %d bytes, compressed: %v, %v", i, len(got), compressed, err)
		}
	}
}

// An idle connection keeps next to nothing without a context takeover, and with
// one no more than the windows that were agreed upon.
func TestDeflateIdle(t *testing.T) {
	const ceiling = 48
	if websocket.CompressionSize > ceiling {
		t.Errorf("compression takes %d bytes for a connection, more than %d", websocket.CompressionSize, ceiling)
	}
	for _, v := range variants() {
		s := new(sink)
		c := compressing(t, s, v.o, v.offer)
		d := newDeflating(t, v.clientTakeover, v.clientBits)
		if n := c.Remembered(); n != 0 {
			t.Errorf("%s: %d bytes before the first message", v.offer, n)
		}
		most := 0
		if v.clientTakeover {
			most += 1 << v.clientBits
		}
		if v.serverTakeover {
			most += 1 << v.serverBits
		}
		for i := range uint64(20) {
			message := json(3000, i)
			if err := c.Parse(new(recorder), masked(fin|rsv1|text, d.compress(message))); err != nil {
				t.Fatal(err)
			}
			if err := send(c, textFrame(message)); err != nil {
				t.Fatal(err)
			}
			if n := c.Remembered(); n > min(most, 4*3000*int(i+1)) {
				t.Errorf("%s: %d bytes after %d messages", v.offer, n, i+1)
			}
		}
		if held := c.Held(); held > 0 {
			t.Errorf("%s: %d bytes of messages", v.offer, held)
		}
	}
}

type discardConn struct{ sink }

func (discardConn) Write(p []byte) (int, error) { return io.Discard.Write(p) }
func (discardConn) Read([]byte) (int, error)    { return 0, io.EOF }
