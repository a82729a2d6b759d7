package msgpackjson

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Extension types. The first one is notepack.io's, which has it for all that has no
// type of MessagePack: what it means depends on how it is written (ECO-MP-5).
const (
	extNotepack  = 0
	extTimestamp = -1
)

// Leads of extensions that have a length of their own.
const (
	fixext1 = 0xd4
	fixext8 = 0xd7
	ext8    = 0xc7
	ext32   = 0xc9
)

func isExtension(lead byte) bool {
	return ext8 <= lead && lead <= ext32 || fixext1 <= lead && lead <= fixext1+4
}

// Undefined reads JavaScript's undefined, if that is next, and reports whether it is.
func (r *Reader) Undefined() bool {
	if len(r.In) < 3 || r.In[0] != fixext1 || r.In[1] != extNotepack {
		return false
	}
	r.In = r.In[3:]
	return true
}

// extension reads a value of a type that MessagePack itself does not know.
func (r *Reader) extension() error {
	if r.Undefined() {
		r.Out = append(r.Out, "null"...)
		return nil
	}
	lead := r.In[0]
	kind, data, err := r.cutExtension()
	switch {
	case err != nil:
		return err
	case kind == extNotepack && lead == fixext8: // ECO-MP-4
		return r.date(int64(binary.BigEndian.Uint64(data))) //nolint:gosec // two's complement
	case kind == extNotepack:
		return r.attach(data)
	case kind == extTimestamp:
		return r.timestamp(data)
	default:
		return errExtension
	}
}

// cutExtension reads the head of an extension and returns what it holds.
func (r *Reader) cutExtension() (kind int8, data []byte, err error) {
	lead, in := r.In[0], r.In[1:]
	var size uint64
	if lead >= fixext1 {
		size = 1 << (lead - fixext1)
	} else {
		width := 1 << (lead - ext8)
		if len(in) < width {
			return 0, nil, ErrShort
		}
		for _, b := range in[:width] {
			size = size<<8 | uint64(b)
		}
		in = in[width:]
	}
	if uint64(len(in)) < 1+size {
		return 0, nil, ErrShort
	}
	r.In = in[1+size:]
	return int8(in[0]), in[1 : 1+size], nil //nolint:gosec // two's complement
}

// timestamp reads the extension that MessagePack has for dates, with nanoseconds of
// which JavaScript would drop all but the milliseconds.
func (r *Reader) timestamp(p []byte) error {
	var seconds, nanoseconds int64
	switch len(p) {
	case 4:
		seconds = int64(binary.BigEndian.Uint32(p))
	case 8:
		both := binary.BigEndian.Uint64(p)
		seconds, nanoseconds = int64(both&(1<<34-1)), int64(both>>34)
	case 12:
		nanoseconds = int64(binary.BigEndian.Uint32(p))
		seconds = int64(binary.BigEndian.Uint64(p[4:])) //nolint:gosec // two's complement
	default:
		return errExtension
	}
	if seconds < -maxDate/1000 || seconds > maxDate/1000 || nanoseconds >= 1e9 {
		return errDate
	}
	return r.date(seconds*1000 + nanoseconds/1e6)
}

// maxDate is how far from 1970 a date of JavaScript can be, in milliseconds.
const maxDate = 8_640_000_000_000_000

// date writes a date as JSON.stringify does. Years of more than four digits have a
// sign and six.
func (r *Reader) date(ms int64) error {
	if ms < -maxDate || ms > maxDate {
		return errDate
	}
	t := time.UnixMilli(ms).UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		r.Out = fmt.Appendf(r.Out, `"%+07d`, y)
	} else {
		r.Out = fmt.Appendf(r.Out, `"%04d`, y)
	}
	r.Out = t.AppendFormat(r.Out, `-01-02T15:04:05.000Z"`)
	return nil
}
