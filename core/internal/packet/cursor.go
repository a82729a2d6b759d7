package packet

import (
	"bytes"
	"strconv"
)

// A cursor moves through JSON that scanJSON has found valid, so that nothing
// here needs to check it again.
type cursor struct {
	p []byte
	i int
}

// peek skips space and returns the byte behind it.
func (c *cursor) peek() byte {
	c.i = skipSpace(c.p, c.i)
	return c.p[c.i]
}

// more steps over the opening bracket or brace, or over the comma behind an
// element, and reports whether there is an element. If not, it steps over the
// closing one.
func (c *cursor) more() bool {
	b := c.peek()
	if b == '[' || b == '{' || b == ',' {
		c.i++
		b = c.peek()
		if b != ']' && b != '}' {
			return true
		}
	}
	c.i++
	return false
}

// str steps over a string and returns what stands between its quotes.
func (c *cursor) str() []byte {
	start := c.i + 1
	c.i = scanString(c.p, start)
	return c.p[start : c.i-1]
}

// name steps over an object member's name and the colon behind it.
func (c *cursor) name() []byte {
	c.peek()
	name := c.str()
	c.peek()
	c.i++
	return name
}

// scalar steps over a number, true, false or null.
func (c *cursor) scalar() []byte {
	start := c.i
	for c.i < len(c.p) && !endsScalar(c.p[c.i]) {
		c.i++
	}
	return c.p[start:c.i]
}

func endsScalar(b byte) bool { return b == ',' || b == ']' || b == '}' || isSpace(b) }

// value steps over any value and returns it, without the space around it.
func (c *cursor) value() []byte {
	first := c.peek()
	start := c.i
	switch first {
	case '"':
		c.str()
	case '[', '{':
		c.skipNested()
	default:
		c.scalar()
	}
	return c.p[start:c.i]
}

// skipNested steps over an array or object by counting brackets.
func (c *cursor) skipNested() {
	for depth := 0; ; {
		switch c.p[c.i] {
		case '"':
			c.str()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				c.i++
				return
			}
		}
		c.i++
	}
}

// placeholderName marks an object that stands for an attachment.
const placeholderName = "_placeholder"

func isPlaceholderName(name []byte) bool {
	if bytes.IndexByte(name, '\\') < 0 {
		return string(name) == placeholderName
	}
	return decodeString(name) == placeholderName
}

// A placeholder is what an object says about itself: as in JavaScript the last
// of several members of one name counts, and other members do not (SIO-BIN-4).
type placeholder struct {
	is  bool   // _placeholder is true
	num []byte // the JSON of num
}

// member looks at one member of an object.
func (h *placeholder) member(name, value []byte) {
	switch {
	case isPlaceholderName(name):
		h.is = string(value) == "true"
	case string(name) == "num" || bytes.IndexByte(name, '\\') >= 0 && decodeString(name) == "num":
		h.num = value
	}
}

// index returns which of n attachments is meant (SIO-BIN-5). A whole number may
// be written in any way that JavaScript reads as one.
func (h *placeholder) index(n int) (int, bool) {
	f, err := strconv.ParseFloat(string(h.num), 64)
	if err != nil || f < 0 || f >= float64(n) || f != float64(int(f)) {
		return 0, false
	}
	return int(f), true
}

// placeholderIndex returns which of n attachments the value p stands for. It
// reports false if p is not a placeholder.
func placeholderIndex(p []byte, n int) (int, bool) {
	c := cursor{p: p}
	if c.peek() != '{' {
		return 0, false
	}
	var h placeholder
	for c.more() {
		name := c.name()
		h.member(name, c.value())
	}
	if !h.is {
		return 0, false
	}
	return h.index(n)
}

// findPlaceholders reports whether there are placeholders in a list of values,
// and whether all of them stand for one of n attachments.
func findPlaceholders(values []byte, n int) (found, ok bool) {
	ok = true
	c := cursor{p: values}
	for skipSpace(c.p, c.i) < len(c.p) {
		if c.peek() == ',' {
			c.i++
		}
		f, o := c.findPlaceholders(n)
		found, ok = found || f, ok && o
	}
	return found, ok
}

// findPlaceholders steps over a value in one pass, however deep it is. What is
// inside a placeholder does not count, but that it is one may turn out late.
func (c *cursor) findPlaceholders(n int) (found, ok bool) {
	first := c.peek()
	if first != '[' && first != '{' {
		c.value()
		return false, true
	}
	ok = true
	var h placeholder
	for c.more() {
		var name []byte
		if first == '{' {
			name = c.name()
		}
		c.peek()
		start := c.i
		f, o := c.findPlaceholders(n)
		found, ok = found || f, ok && o
		if first == '{' {
			h.member(name, c.p[start:c.i])
		}
	}
	if h.is {
		_, ok = h.index(n)
		return true, ok
	}
	return found, ok
}
