package packet

import (
	"bytes"

	"github.com/sioplug/sioplug/internal/rawjson"
)

// CutLastString returns the last value, if it is a string, and the values before it. It is
// for the offset that servers with connection state recovery append to events.
func (a Args) CutLastString() (last string, before Args, ok bool) {
	if a.n == 0 {
		return "", a, false
	}
	c := rawjson.Cursor{P: a.raw}
	start := 0
	var raw []byte
	for i := range a.Len() {
		c.Peek()
		start = c.I
		raw = a.next(&c, i)
	}
	if raw[0] != '"' {
		return "", a, false
	}
	before = a
	before.n--
	before.raw = bytes.TrimRight(a.raw[:start], " \t\r\n,")
	return rawjson.DecodeString(raw[1 : len(raw)-1]), before, true
}
