package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// What servers write: some divide a message into frames.
func TestFramesOfAMessageAreJoined(t *testing.T) {
	whole := ws.NewTextFrame([]byte("whole"))
	begin, rest, end := ws.NewFrame(ws.OpText, false, []byte("be")), ws.NewFrame(ws.OpContinuation, false, []byte("gi")), ws.NewFrame(ws.OpContinuation, true, []byte("n"))
	huge := ws.Frame{Header: ws.Header{Fin: true, OpCode: ws.OpText, Length: 1 << 21}}
	for want, frames := range map[string][]ws.Frame{
		"begin":         {begin, rest, end},
		"whole":         {whole, begin},
		"within":        {begin, whole},
		"has not begun": {rest, end},
		"no server":     {begin, huge},
		"EOF":           {begin},
	} {
		var in bytes.Buffer
		for _, f := range frames {
			if err := ws.WriteFrame(&in, f); err != nil {
				t.Fatal(err)
			}
		}
		c := wsClient{in: bufio.NewReader(&in)}
		switch op, err := c.read(); {
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("err = %v, want %q in it", err, want)
		case err == nil && (op != ws.OpText || string(c.payload) != want):
			t.Errorf("%q, opcode %d, want %q", c.payload, op, want)
		}
	}
}
