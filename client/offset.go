package sioclient

import (
	"strings"
	"time"

	"github.com/sioplug/sioplug/internal/packet"
)

// takeOffsetLocked remembers the offset that a server with connection state recovery appends
// to an event, and returns the arguments without it (CLI-CSR-1, CLI-CSR-2). Not each event
// has one: those that the server does not keep end with what the application has sent, which
// may be a string as well. So the client takes away only what has the form of an offset.
//
// As the official client does, it remembers any string. A server may have a log of its own,
// with offsets of another form. Once there was an offset of a known form, only such ones count.
func (s *Socket) takeOffsetLocked(args packet.Args) packet.Args {
	last, before, ok := args.CutLastString()
	if !ok {
		return args
	}
	known := isOffset(last, time.Now())
	if known || !s.knownOffset {
		s.offset, s.knownOffset = last, known
	}
	if known && !s.m.opts.KeepOffset {
		return before
	}
	return args
}

const (
	digits   = "0123456789"
	lower    = "abcdefghijklmnopqrstuvwxyz"
	upper    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	base64ID = digits + upper + lower + "-_" // in the order of the package yeast
)

// isOffset reports whether a text has the form of an offset: an entry of a stream,
// "1795953845123-0", the time of an adapter in memory, "Q80oOUR", the place in an
// adapter.MemoryLog, "K3ZQ7A.1f", or an id of MongoDB.
func isOffset(text string, now time.Time) bool {
	const (
		streamDigits = 10 // at least, before the dash: they are a time
		memoryPrefix = 6
		objectID     = 24
	)
	if major, minor, ok := strings.Cut(text, "-"); ok && len(major) >= streamDigits && consistsOf(major, digits) && consistsOf(minor, digits) {
		return true
	}
	if prefix, number, ok := strings.Cut(text, "."); ok && len(prefix) == memoryPrefix &&
		consistsOf(prefix, upper+"234567") && consistsOf(number, digits+lower) {
		return true
	}
	return len(text) == objectID && consistsOf(text, digits+"abcdef") || isRecentTime(text, now)
}

// consistsOf reports whether a text has characters, and only such ones.
func consistsOf(text, characters string) bool {
	return text != "" && strings.Trim(text, characters) == ""
}

// isRecentTime reports whether a text is a time of the last days, or the next ones, in the
// form of the package yeast: milliseconds to the base 64, with a number behind a dot if
// there were several at the same time. Other words of 7 letters hardly ever are.
func isRecentTime(text string, now time.Time) bool {
	const (
		length = 7
		recent = 7 * 24 * time.Hour
	)
	text, number, numbered := strings.Cut(text, ".")
	if len(text) != length || !consistsOf(text, base64ID) || numbered && !consistsOf(number, base64ID) {
		return false
	}
	var ms int64
	for i := range length {
		ms = ms*int64(len(base64ID)) + int64(strings.IndexByte(base64ID, text[i]))
	}
	return now.Sub(time.UnixMilli(ms)).Abs() < recent
}
