package websocket_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/sioplug/sioplug/internal/websocket"
)

// A reads is a connection that brings each of its elements with one read.
type reads struct {
	net.Conn

	rest [][]byte
}

// script returns a connection that brings p in pieces of the sizes, and then
// ends.
func script(p []byte, sizes ...int) *reads {
	r := new(reads)
	for i := 0; len(p) > 0; i++ {
		n := len(p)
		if len(sizes) > 0 {
			n = min(n, 1+sizes[i%len(sizes)])
		}
		r.rest = append(r.rest, bytes.Clone(p[:n]))
		p = p[n:]
	}
	return r
}

func (r *reads) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest[0])
	if r.rest[0] = r.rest[0][n:]; len(r.rest[0]) == 0 {
		r.rest = r.rest[1:]
	}
	return n, nil
}

// play returns what a connection makes of p, as text.
func play(p []byte, limit int, ahead []byte, sizes ...int) ([]string, string) {
	c := websocket.New(script(p, sizes...), limit, bytes.Clone(ahead))
	var r recorder
	err := c.Serve(&r)
	return r.events, outcome(err)
}

// FuzzServe reads anything, and makes the same of it however it is divided.
func FuzzServe(f *testing.F) {
	f.Add(join(masked(fin|text, "Hello"), masked(fin|ping, "p"), closing(1000, "bye")), uint16(100), uint8(3), uint8(0))
	f.Add(join(masked(text, "\xce"), masked(cont, "\xba"), masked(fin|cont, "x")), uint16(100), uint8(0), uint8(9))
	f.Add(masked(fin|binry, strings.Repeat("b", 300)), uint16(299), uint8(100), uint8(2))
	f.Add(masked(fin|text, strings.Repeat("\xc3\xbc", 4000)), uint16(9000), uint8(250), uint8(1))
	f.Add([]byte{fin | binry, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4}, uint16(9), uint8(1), uint8(0))
	f.Fuzz(func(t *testing.T, p []byte, limit uint16, size, ahead uint8) {
		events, end := play(p, int(limit), nil)
		for _, e := range events {
			kind, data, _ := strings.Cut(e, ":")
			if kind != "control" && len(data) > int(limit) {
				t.Errorf("a message of %d bytes", len(data))
			}
			if kind == "text" && !utf8.ValidString(data) {
				t.Errorf("invalid text %q", data)
			}
		}
		cut := min(int(ahead), len(p))
		for _, sizes := range [][]int{{int(size)}, {0}, {0, int(size), 1}} {
			again, endAgain := play(p[cut:], int(limit), p[:cut], sizes...)
			if !slices.Equal(events, again) || end != endAgain {
				t.Errorf("divided into %v: %q, %s; whole: %q, %s", sizes, again, endAgain, events, end)
			}
		}
	})
}

// FuzzFrames makes valid frames out of anything and compares with what the
// reader of gobwas/ws makes of them.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x05hello\x01\x03abc\x02\x02de\x05\x00\x03\x01f"), uint8(2))
	f.Add([]byte("\x01\x00\x02\x00\x03\x00\x00\xff"+strings.Repeat("z", 255)), uint8(9))
	f.Fuzz(func(t *testing.T, program []byte, size uint8) {
		sent := compile(program)
		want := reference(t, sent)
		got, end := play(sent, 1<<20, nil, int(size))
		if end != "eof" || !slices.Equal(got, want) {
			t.Errorf("got %q, %s, want %q", got, end, want)
		}
	})
}

// compile takes program for a list of kind, length and payload, and returns the
// frames as a client would send them; a message left unfinished is finished.
func compile(program []byte) []byte {
	var sent []byte
	begun := false
	for len(program) >= 2 {
		kind, n := program[0]%6, int(program[1])
		program = program[2:]
		n = min(n, len(program))
		payload := strings.ToValidUTF8(string(program[:n]), "?")
		program = program[n:]
		switch {
		case kind == 4:
			sent = append(sent, masked(fin|ping, payload[:min(len(payload), 125)])...)
		case kind == 5:
			sent = append(sent, masked(fin|pong, payload[:min(len(payload), 125)])...)
		case begun:
			first := byte(cont)
			if kind >= 2 {
				first |= fin
			}
			begun = first&fin == 0
			sent = append(sent, masked(first, payload)...)
		default:
			first := text + kind%2 // text or binary
			if kind >= 2 {
				first |= fin
			}
			begun = first&fin == 0
			sent = append(sent, masked(first, payload)...)
		}
	}
	if begun {
		sent = append(sent, masked(fin|cont, "")...)
	}
	return sent
}

// reference is what gobwas/ws reads, in the words of a recorder.
func reference(t *testing.T, sent []byte) (events []string) {
	t.Helper()
	r := bytes.NewReader(sent)
	for r.Len() > 0 {
		messages, err := wsutil.ReadMessage(r, ws.StateServerSide, nil)
		if err != nil {
			t.Fatalf("the reference refuses %q: %v", sent, err)
		}
		for _, m := range messages {
			switch m.OpCode {
			case ws.OpText:
				events = append(events, "text:"+string(m.Payload))
			case ws.OpBinary:
				events = append(events, "binary:"+string(m.Payload))
			case ws.OpPing:
				events = append(events, fmt.Sprintf("control:8a:%s", m.Payload))
			default: // what needs no answer
			}
		}
	}
	return events
}
