package rawjson

import (
	"bytes"
	"strconv"
)

// placeholderName marks an object that stands for an attachment.
const placeholderName = "_placeholder"

func isPlaceholderName(name []byte) bool {
	if bytes.IndexByte(name, '\\') < 0 {
		return string(name) == placeholderName
	}
	return DecodeString(name) == placeholderName
}

// A Placeholder is what an object says about itself: as in JavaScript the last
// of several members of one name counts, and other members do not (SIO-BIN-4).
type Placeholder struct {
	Is  bool   // _placeholder is true: the object is one
	num []byte // the JSON of num
}

// Member looks at one member of an object.
func (h *Placeholder) Member(name, value []byte) {
	switch {
	case isPlaceholderName(name):
		h.Is = string(value) == "true"
	case string(name) == "num" || bytes.IndexByte(name, '\\') >= 0 && DecodeString(name) == "num":
		h.num = value
	}
}

// Index returns which of n attachments is meant (SIO-BIN-5). A whole number may
// be written in any way that JavaScript reads as one.
func (h *Placeholder) Index(n int) (int, bool) {
	f, err := strconv.ParseFloat(string(h.num), 64)
	if err != nil || f < 0 || f >= float64(n) || f != float64(int(f)) {
		return 0, false
	}
	return int(f), true
}

// PlaceholderIndex returns which of n attachments the value p stands for. It
// reports false if p is not a placeholder.
func PlaceholderIndex(p []byte, n int) (int, bool) {
	c := Cursor{P: p}
	if c.Peek() != '{' {
		return 0, false
	}
	var h Placeholder
	for c.More() {
		name := c.Name()
		h.Member(name, c.Value())
	}
	if !h.Is {
		return 0, false
	}
	return h.Index(n)
}

// FindPlaceholders reports whether there are placeholders in a list of values,
// and whether all of them stand for one of n attachments.
func FindPlaceholders(values []byte, n int) (found, ok bool) {
	ok = true
	c := Cursor{P: values}
	for SkipSpace(c.P, c.I) < len(c.P) {
		if c.Peek() == ',' {
			c.I++
		}
		f, o := c.findPlaceholders(n)
		found, ok = found || f, ok && o
	}
	return found, ok
}

// findPlaceholders steps over a value in one pass, however deep it is. What is
// inside a placeholder does not count, but that it is one may turn out late.
func (c *Cursor) findPlaceholders(n int) (found, ok bool) {
	first := c.Peek()
	if first != '[' && first != '{' {
		c.Value()
		return false, true
	}
	ok = true
	var h Placeholder
	for c.More() {
		var name []byte
		if first == '{' {
			name = c.Name()
		}
		c.Peek()
		start := c.I
		f, o := c.findPlaceholders(n)
		found, ok = found || f, ok && o
		if first == '{' {
			h.Member(name, c.P[start:c.I])
		}
	}
	if h.Is {
		_, ok = h.Index(n)
		return true, ok
	}
	return found, ok
}

// AppendPlaceholder appends the object that stands for attachment number num,
// byte for byte as the JavaScript server writes it.
func AppendPlaceholder(dst []byte, num int) []byte {
	dst = append(dst, `{"`+placeholderName+`":true,"num":`...)
	dst = strconv.AppendInt(dst, int64(num), 10)
	return append(dst, '}')
}
