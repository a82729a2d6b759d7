package frame_test

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"

	"github.com/sioplug/sioplug/internal/frame"
)

// The header is checked against an independent implementation of RFC 6455, at
// both sides of each length class.
func TestFrameHeaderMatchesRFC6455(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 127, 1<<16 - 1, 1 << 16, 1<<16 + 1} {
		payload := bytes.Repeat([]byte("x"), n)
		for _, c := range []struct {
			name string
			f    *frame.Frame
			op   ws.OpCode
		}{
			{"text", frame.Text(append(frame.Buffer(n), payload...)), ws.OpText},
			{"binary", frame.Binary(append(frame.Buffer(n), payload...)), ws.OpBinary},
		} {
			got, err := ws.ReadFrame(bytes.NewReader(c.f.Wire()))
			if err != nil {
				t.Fatalf("%s of %d bytes: %v", c.name, n, err)
			}
			if !got.Header.Fin || got.Header.Masked || got.Header.OpCode != c.op {
				t.Errorf("%s of %d bytes: header %+v", c.name, n, got.Header)
			}
			if !bytes.Equal(got.Payload, payload) || !bytes.Equal(c.f.Payload(), payload) {
				t.Errorf("%s of %d bytes: payload differs", c.name, n)
			}
			if c.f.Len() != len(c.f.Wire()) {
				t.Errorf("Len %d, want %d", c.f.Len(), len(c.f.Wire()))
			}
		}
	}
}

func TestFrameControl(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f    *frame.Frame
		wire string
	}{
		{frame.Pong([]byte("hi")), "\x8a\x02hi"},
		{frame.Close(0, "unused"), "\x88\x00"},
		{frame.Close(1009, "big"), "\x88\x05\x03\xf1big"},
	} {
		if got := string(c.f.Wire()); got != c.wire {
			t.Errorf("got %q, want %q", got, c.wire)
		}
		if !c.f.Control() {
			t.Errorf("%q: Control is false", c.wire)
		}
	}
	if frame.Text(append(frame.Buffer(1), '2')).Control() {
		t.Error("a text packet is not a control frame")
	}
}

func TestCompressed(t *testing.T) { // RFC 7692 section 7.2.3.1
	f := frame.Text(append(frame.Buffer(5), "Hello"...))
	g := f.Deflated([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"))
	if got, want := string(g.Wire()), "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if f.Compressed() != nil {
		t.Error("a new frame has a compressed form")
	}
	f.SetCompressed(g)
	f.SetCompressed(f)
	if f.Compressed() != g {
		t.Error("the first form is not kept")
	}
	if string(f.Payload()) != "Hello" {
		t.Errorf("the frame was changed to %q", f.Payload())
	}
}

// A small packet in the memory of a larger one gives that back before it waits.
func TestCompact(t *testing.T) {
	for _, n := range []int{0, 1, 100, 200, 1000, 2999} {
		s := frame.Single()
		s.Text(append(s.Buffer(), make([]byte, 3000)...), nil)[0].Release()
		s = frame.Single()
		want := bytes.Repeat([]byte("x"), n)
		f := s.Text(append(s.Buffer(), want...), nil)[0]
		wire := bytes.Clone(f.Wire())
		f.Compact()
		if !bytes.Equal(f.Wire(), wire) || !bytes.Equal(f.Payload(), want) {
			t.Errorf("%d bytes: %q, want %q", n, f.Wire(), wire)
		}
		if got := f.Memory(); got > 600+2*n {
			t.Errorf("%d bytes take %d", n, got)
		}
		f.Release()
	}
	f := frame.Text(append(frame.Buffer(5000), 'x')) // may be on its way to others
	f.Compact()
	if string(f.Payload()) != "x" || f.Memory() < 5000 {
		t.Errorf("%q takes %d", f.Payload(), f.Memory())
	}
}
