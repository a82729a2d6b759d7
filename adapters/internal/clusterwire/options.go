package clusterwire

import (
	"math"
	"strconv"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rawjson"
)

// Options are the member opts of a message: who is meant, and how.
type Options struct {
	Target               adapter.Target
	Volatile, NoCompress bool
	DropOldest           int    // a flag that only servers of this module know
	Latest               string // likewise
	Timeout              time.Duration
}

// Append appends opts. Without flags, only the target is written.
func (o *Options) Append(dst []byte, flags bool) (_ []byte, err error) {
	dst = append(dst, `{"rooms":`...)
	if dst, err = AppendStrings(dst, o.Target.Rooms); err != nil {
		return dst, In("rooms", err)
	}
	dst = append(dst, `,"except":`...)
	if dst, err = AppendStrings(dst, o.Target.Except); err != nil {
		return dst, In("except", err)
	}
	if !flags {
		return append(dst, '}'), nil
	}
	dst = append(dst, `,"flags":{`...)
	if o.Volatile {
		dst = append(Name(dst, "volatile"), "true"...)
	}
	if o.NoCompress {
		dst = append(Name(dst, "compress"), "false"...)
	}
	if o.DropOldest > 0 {
		dst = strconv.AppendInt(Name(dst, "dropOldest"), int64(o.DropOldest), 10)
	}
	if o.Latest != "" {
		if dst, err = AppendString(Name(dst, "latest"), o.Latest); err != nil {
			return dst, In("latest", err)
		}
	}
	if ms := o.milliseconds(); ms > 0 {
		dst = strconv.AppendInt(Name(dst, "timeout"), ms, 10)
	}
	return append(dst, "}}"...), nil
}

// milliseconds returns the timeout, rounded up: 0 would be none.
func (o *Options) milliseconds() int64 {
	if o.Timeout <= 0 {
		return 0
	}
	return int64((o.Timeout-1)/time.Millisecond) + 1
}

// ReadOptions reads opts, any part of which may be absent.
func ReadOptions(value []byte) (o Options, err error) {
	err = Members(Present(value), func(name, value []byte) (err error) {
		switch value = Present(value); string(name) {
		case "rooms":
			o.Target.Rooms, err = Strings(value)
		case "except":
			o.Target.Except, err = Strings(value)
		case "flags":
			err = o.readFlags(value)
		}
		return In(name, err)
	})
	return o, In("opts", err)
}

func (o *Options) readFlags(value []byte) error {
	return Members(value, func(name, value []byte) error {
		switch string(name) {
		case "volatile":
			o.Volatile = Bool(value)
		case "compress":
			o.NoCompress = string(value) == "false"
		case "timeout":
			o.Timeout = duration(value)
		case "dropOldest":
			o.DropOldest = waiting(value)
		case "latest":
			if len(value) > 0 && value[0] == '"' { // otherwise it is not ours
				o.Latest, _ = String(value)
			}
		}
		return nil
	})
}

// maxDropOldest is the largest limit of waiting events. No client has so many.
const maxDropOldest = 1 << 30

// waiting returns a limit of waiting events. Anything else is no limit.
func waiting(value []byte) int {
	n, err := strconv.ParseFloat(string(value), 64)
	if err != nil || n < 1 {
		return 0
	}
	return int(min(n, maxDropOldest))
}

// maxTimeout is the longest timeout that counts as one.
const maxTimeout = 1000 * time.Hour

// duration returns a number of milliseconds, of which parts are rounded up. Anything else
// is no timeout.
func duration(value []byte) time.Duration {
	ms, err := strconv.ParseFloat(string(value), 64)
	if err != nil || ms <= 0 {
		return 0
	}
	return time.Duration(min(math.Ceil(ms)*float64(time.Millisecond), float64(maxTimeout)))
}

// AppendSockets appends the answer to a request for sockets.
func AppendSockets(dst []byte, sockets []adapter.Socket) (_ []byte, err error) {
	dst = append(dst, '[')
	for i := range sockets {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendSocket(dst, &sockets[i]); err != nil {
			return dst, In("sockets", err)
		}
	}
	return append(dst, ']'), nil
}

func appendSocket(dst []byte, s *adapter.Socket) (_ []byte, err error) {
	if dst, err = AppendString(append(dst, `{"id":`...), s.ID); err != nil {
		return dst, err
	}
	if dst, err = appendObject(append(dst, `,"handshake":`...), s.Handshake); err != nil {
		return dst, In("handshake", err)
	}
	if dst, err = AppendStrings(append(dst, `,"rooms":`...), s.Rooms); err != nil {
		return dst, err
	}
	if dst, err = appendObject(append(dst, `,"data":`...), s.Data); err != nil {
		return dst, In("data", err)
	}
	return append(dst, '}'), nil
}

// appendObject appends an object. One that is missing is empty.
func appendObject(dst, object []byte) ([]byte, error) {
	if len(object) == 0 {
		return append(dst, "{}"...), nil
	}
	return AppendRaw(dst, object)
}

// ReadSockets reads a list of sockets. The result is never nil without an error.
func ReadSockets(list []byte, attachments [][]byte) ([]adapter.Socket, error) {
	sockets := []adapter.Socket{}
	if list == nil {
		return sockets, nil
	}
	c := rawjson.Cursor{P: list}
	if c.Peek() != '[' {
		return nil, In("sockets", errList)
	}
	for c.More() {
		s := adapter.Socket{Data: []byte("{}"), Handshake: []byte("{}")}
		err := Members(c.Value(), func(name, value []byte) (err error) {
			if value = Present(value); value == nil {
				return nil
			}
			switch string(name) {
			case "id":
				s.ID, err = String(value)
			case "rooms":
				s.Rooms, err = Strings(value)
			case "data":
				s.Data, err = readObject(value, attachments)
			case "handshake":
				s.Handshake, err = readObject(value, attachments)
			}
			return In(name, err)
		})
		if err != nil {
			return nil, In("sockets", err)
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

// readObject reads an object. Anything else, which JavaScript allows as data, is none.
func readObject(value []byte, attachments [][]byte) ([]byte, error) {
	if value[0] != '{' {
		return []byte("{}"), nil
	}
	if _, ok := rawjson.PlaceholderIndex(value, len(attachments)); ok {
		return []byte("{}"), nil
	}
	return Raw(value, attachments)
}
