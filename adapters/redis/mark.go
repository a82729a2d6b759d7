package redisadapter

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// A mark says what a server has sent before a packet over other connections. So servers of
// this module can keep the order. Official servers ignore it. It is the last member of a
// message, called "order", and is only there if it says something.
type mark struct {
	seq    uint64  // of the packet, counted by its sender; 0 if nobody refers to it
	stream entryID // of the last entry before the packet; zero if there is none
	before []use   // the last packets in other channels
}

// A use is the last packet that a server has sent over a channel.
type use struct {
	channel uint32 // hash of its name
	seq     uint64
	age     uint64    // how many milliseconds earlier it was sent
	addr    string    // of the Redis server; not sent
	at      time.Time // not sent
}

const (
	// orderTime is for how long a server refers to what it has sent, holdTime for how
	// long another one waits for that.
	orderTime = 2 * time.Second
	holdTime  = time.Second

	maxUses  = 64 // channels that a sender remembers
	maxMarks = 16 // channels that a mark has

	orderName = "order"
	hashSize  = 4
)

// hashOf returns the hash FNV-1a of a name.
func hashOf[T string | []byte](name T) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h
}

// A markWriter makes the marks of a server. Only the publishing goroutine uses it.
type markWriter struct {
	seq  uint64
	uses []use // the latest is the last
}

// next returns the mark of a packet that is sent over a channel of a server.
func (w *markWriter) next(channel, addr string) mark {
	w.seq++
	h, now := hashOf(channel), time.Now()
	m := mark{seq: w.seq, before: w.before(addr, now)}
	w.uses = slices.DeleteFunc(w.uses, func(u use) bool { return u.channel == h })
	if len(w.uses) == maxUses {
		w.uses = slices.Delete(w.uses, 0, 1)
	}
	w.uses = append(w.uses, use{channel: h, seq: w.seq, addr: addr, at: now})
	return m
}

// before returns what was sent over other servers than addr a short time ago.
func (w *markWriter) before(addr string, now time.Time) (list []use) {
	for i := len(w.uses) - 1; i >= 0 && len(list) < maxMarks && now.Sub(w.uses[i].at) < orderTime; i-- {
		if w.uses[i].addr != addr {
			u := w.uses[i]
			u.age = uint64(now.Sub(u.at).Milliseconds()) //nolint:gosec // not negative
			list = append(list, u)
		}
	}
	return list
}

// encode returns the mark in its binary form. Its last byte is its length.
func (m *mark) encode() []byte {
	b := binary.AppendUvarint(nil, m.seq)
	b = binary.AppendUvarint(b, m.stream.Major)
	b = binary.AppendUvarint(b, m.stream.Minor)
	for _, u := range m.before {
		b = binary.LittleEndian.AppendUint32(b, u.channel)
		b = binary.AppendUvarint(b, u.seq)
		b = binary.AppendUvarint(b, u.age)
		if len(b) > math.MaxUint8-hashSize-2*binary.MaxVarintLen64 {
			break
		}
	}
	return append(b, byte(len(b)+1)) //nolint:gosec // is at most 255, see above
}

func decodeMark(b []byte) (m mark, ok bool) {
	if len(b) == 0 || int(b[len(b)-1]) != len(b) {
		return m, false
	}
	b = b[:len(b)-1]
	for _, n := range []*uint64{&m.seq, &m.stream.Major, &m.stream.Minor} {
		if b, ok = readUvarint(b, n); !ok {
			return mark{}, false
		}
	}
	for len(b) > 0 {
		if len(b) < hashSize || len(m.before) == maxMarks {
			return mark{}, false
		}
		u := use{channel: binary.LittleEndian.Uint32(b)}
		if b, ok = readUvarint(b[hashSize:], &u.seq); !ok {
			return mark{}, false
		}
		if b, ok = readUvarint(b, &u.age); !ok {
			return mark{}, false
		}
		m.before = append(m.before, u)
	}
	return m, true
}

func readUvarint(b []byte, n *uint64) (rest []byte, ok bool) {
	v, size := binary.Uvarint(b)
	if size <= 0 {
		return nil, false
	}
	*n = v
	return b[size:], true
}

const (
	fixMap    = 0x80 // a map of MessagePack with up to 15 members
	maxFixMap = 0x8f
	fixText   = 0xa0
	shortBin  = 0xc4
)

// binHead begins the member in MessagePack, without the length of its value.
func binHead() []byte {
	return append(append([]byte{fixText + byte(len(orderName))}, orderName...), shortBin)
}

const jsonHead = `,"` + orderName + `":"`

// appendTo adds the mark to a message, which is a map in JSON or MessagePack.
func (m *mark) appendTo(message []byte) []byte {
	b := m.encode()
	switch {
	case len(message) < 2:
	case message[0] == '{' && message[1] != '}':
		message = append(message[:len(message)-1], jsonHead...)
		message = base64.RawStdEncoding.AppendEncode(message, b)
		message = append(message, `"}`...)
	case message[0] >= fixMap && message[0] < maxFixMap:
		message[0]++
		message = append(append(message, binHead()...), byte(len(b))) //nolint:gosec // is at most 255
		message = append(message, b...)
	}
	return message
}

// readMark returns the mark of a message, or an empty one.
func readMark(message []byte) mark {
	if len(message) < 2 {
		return mark{}
	}
	if message[0] != '{' {
		n := int(message[len(message)-1])
		head := append(binHead(), byte(n)) //nolint:gosec // was a byte
		if !bytes.HasSuffix(message[:max(0, len(message)-n)], head) {
			return mark{}
		}
		m, _ := decodeMark(message[len(message)-n:])
		return m
	}
	longest := len(jsonHead) + base64.RawStdEncoding.EncodedLen(math.MaxUint8)
	tail, ok := bytes.CutSuffix(message, []byte(`"}`))
	tail = tail[max(0, len(tail)-longest):]
	i := bytes.LastIndex(tail, []byte(jsonHead))
	if !ok || i < 0 {
		return mark{}
	}
	m, _ := decodeMarkText(tail[i+len(jsonHead):])
	return m
}

func decodeMarkText(text []byte) (m mark, ok bool) {
	b, err := base64.RawStdEncoding.DecodeString(string(text))
	if err != nil {
		return m, false
	}
	return decodeMark(b)
}
