package rawjson

import (
	"bytes"
	"encoding/base64"
	"strconv"
)

// A placeholder is an object that stands for an attachment:
//
//	{"_placeholder":true,"num":0}
//
// JSON has many spellings of one name. Here a placeholder's name is spelled without
// escapes. An object of the application's that only looks like one has an escape in
// the name, so the two cannot be confused. Peers know no such difference: what comes
// from them goes through [PlainNames] first.
const (
	placeholderName = "_placeholder"
	plainName       = `"_placeholder"`
	hiddenName      = `"\u005fplaceholder"` // the same name, of an object that is no placeholder
)

// A Placeholder is what an object says about itself: as in JavaScript the last
// of several members of one name counts, and other members do not (SIO-BIN-4).
type Placeholder struct {
	Is  bool   // _placeholder is true: the object is one
	num []byte // the JSON of num
}

// Member looks at one member of an object.
func (h *Placeholder) Member(name, value []byte) {
	switch {
	case string(name) == placeholderName:
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

// HasPlaceholder reports whether there is a placeholder in a value.
func HasPlaceholder(value []byte) bool {
	if !bytes.Contains(value, []byte(plainName)) {
		return false
	}
	w := placeholders{Cursor: Cursor{P: value}} // for none of which there is an attachment
	return !w.value()
}

// EachOnce reports whether the placeholders in a list of values, without brackets,
// stand for n attachments, and for each of them once.
//
// Once is what all clients write. A second placeholder for the same bytes would make
// them two attachments when the values are sent on, and that without end: a small
// packet of one client could become a huge one for all others. Placeholders inside of
// placeholders count, too, because a value may be decoded as either.
func EachOnce(values []byte, n int) bool {
	if CountNames(values) < n { // so n, which may be only a peer's word, follows what is there
		return false
	}
	w := placeholders{Cursor: Cursor{P: values}, n: n, left: n}
	if n > 64 {
		w.more = make([]uint64, n/64)
	}
	for SkipSpace(w.P, w.I) < len(w.P) {
		if w.Peek() == ',' {
			w.I++
		}
		if !w.value() {
			return false
		}
	}
	return w.left == 0
}

// placeholders walks through values and ticks off the placeholders in them.
type placeholders struct {
	Cursor

	n    int      // attachments
	left int      // of these, without a placeholder so far
	used uint64   // a bit for each of the first 64 that has one
	more []uint64 // for the others
}

// value steps over a value in one pass, however deep it is: that an object is a
// placeholder may turn out at its end. It reports false at a placeholder that should
// not be there.
func (w *placeholders) value() bool {
	first := w.Peek()
	if first != '[' && first != '{' {
		w.Value()
		return true
	}
	var h Placeholder
	for w.More() {
		var name []byte
		if first == '{' {
			name = w.Name()
		}
		w.Peek()
		start := w.I
		if !w.value() {
			return false
		}
		if first == '{' {
			h.Member(name, w.P[start:w.I])
		}
	}
	return !h.Is || w.take(&h)
}

// take reports whether a placeholder is the first one for its attachment.
func (w *placeholders) take(h *Placeholder) bool {
	i, ok := h.Index(w.n)
	if !ok {
		return false
	}
	word, bit := &w.used, uint64(1)<<(i%64)
	if i >= 64 {
		word = &w.more[i/64-1]
	}
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	w.left--
	return true
}

// PlainNames returns JSON that means the same as p, in which the name of
// placeholders has no escapes. It is p itself if that is so already.
func PlainNames(p []byte) []byte {
	if bytes.IndexByte(p, '\\') < 0 {
		return p
	}
	var out []byte
	c, done := Cursor{P: p}, 0
	for {
		i := bytes.IndexByte(p[c.I:], '"')
		if i < 0 {
			break
		}
		c.I += i
		start := c.I
		if s := c.Str(); isPlaceholderName(s) && len(s) > len(placeholderName) {
			out = append(append(out, p[done:start]...), plainName...)
			done = c.I
		}
	}
	if done == 0 {
		return p
	}
	return append(out, p[done:]...)
}

// isPlaceholderName reports whether a string, given as it stands between its quotes,
// is the name, in any spelling.
func isPlaceholderName(s []byte) bool {
	const escape = len(`\u0000`)
	return len(s) >= len(placeholderName) && len(s) <= escape*len(placeholderName) && DecodeString(s) == placeholderName
}

// HideNames returns JSON that means the same as p and has no placeholders in it,
// whatever it looked like. It is p itself if that is so already.
//
// No sequence of escapes contains an underscore, and there is none outside of
// strings. So one that is replaced by its escape leaves the meaning as it was.
func HideNames(p []byte) []byte {
	if !bytes.Contains(p, []byte(plainName)) {
		return p
	}
	return bytes.ReplaceAll(p, []byte(plainName), []byte(hiddenName))
}

// CountNames returns how often the name of placeholders stands in p: at least as often
// as there are placeholders.
func CountNames(p []byte) int { return bytes.Count(p, []byte(plainName)) }

// AppendName appends the name of an object's member. That of a placeholder is hidden:
// see [HideNames].
func AppendName(dst []byte, name string) []byte {
	if name == placeholderName {
		return append(dst, hiddenName...)
	}
	return AppendString(dst, name)
}

// AppendBase64 appends a value in which each attachment is a string in base64 instead
// of a placeholder, which is how encoding/json has binary data.
func AppendBase64(dst, value []byte, attachments [][]byte) []byte {
	w := base64Writer{Cursor: Cursor{P: value}, out: dst, attachments: attachments}
	w.value()
	return w.out
}

type base64Writer struct {
	Cursor

	out         []byte
	attachments [][]byte
}

// value copies a value. An object that turns out to be a placeholder is replaced.
func (w *base64Writer) value() {
	first := w.Peek()
	if first != '[' && first != '{' {
		w.out = append(w.out, w.Value()...)
		return
	}
	start, n := len(w.out), 0
	var h Placeholder
	w.out = append(w.out, first)
	for ; w.More(); n++ {
		if n > 0 {
			w.out = append(w.out, ',')
		}
		var name []byte
		if first == '{' {
			name = w.Name()
			w.out = append(append(append(w.out, '"'), name...), '"', ':')
		}
		w.Peek()
		from := w.I
		w.value()
		if first == '{' {
			h.Member(name, w.P[from:w.I])
		}
	}
	w.out = append(w.out, first+2) // the closing bracket is two behind the opening one
	if !h.Is {
		return
	}
	if i, ok := h.Index(len(w.attachments)); ok {
		w.out = append(w.out[:start], '"')
		w.out = append(base64.StdEncoding.AppendEncode(w.out, w.attachments[i]), '"')
	}
}

// AppendPlaceholder appends the object that stands for attachment number num,
// byte for byte as the JavaScript server writes it.
func AppendPlaceholder(dst []byte, num int) []byte {
	dst = append(dst, `{"`+placeholderName+`":true,"num":`...)
	dst = strconv.AppendInt(dst, int64(num), 10)
	return append(dst, '}')
}
