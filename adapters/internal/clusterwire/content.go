package clusterwire

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rawjson"
)

// placeholderStart begins each placeholder that [Read] has written. Nothing else looks
// like that, because other names are spelled with an escape, and quotes in strings are.
const placeholderStart = `{"_placeholder":true,"num":`

// Attached returns a value of a message, and those of the message's attachments that are
// in it. They are counted from 0.
func Attached(value []byte, attachments [][]byte) ([]byte, [][]byte) {
	n := 0
	if len(attachments) > 0 {
		n = bytes.Count(value, []byte(placeholderStart))
	}
	if n == 0 || n == len(attachments) {
		return slices.Clip(value), attachments[:n:n]
	}
	out := make([]byte, 0, len(value))
	var found [][]byte
	for {
		i := bytes.Index(value, []byte(placeholderStart))
		if i < 0 {
			return append(out, value...), found
		}
		out = append(out, value[:i]...)
		value = value[i+len(placeholderStart):]
		num := 0
		for value[0] != '}' {
			num = num*10 + int(value[0]-'0')
			value = value[1:]
		}
		value = value[1:]
		out = rawjson.AppendPlaceholder(out, len(found))
		found = append(found, attachments[num])
	}
}

// Event returns an event, which is an array with a name in front, and its attachments.
// It is checked like those of clients.
func Event(value []byte, attachments [][]byte) ([]byte, [][]byte, error) {
	if err := CheckEvent(value); err != nil {
		return nil, nil, err
	}
	data, attachments := Attached(value, attachments)
	return data, attachments, nil
}

// CheckEvent returns an error if a value is no event.
func CheckEvent(value []byte) error {
	l, ok := rawjson.ScanList(value, packet.MaxDepth)
	if !ok || l.N == 0 {
		return errEvent
	}
	switch c := value[l.First]; {
	case c == '-' || c >= '0' && c <= '9':
		return nil
	case c != '"':
		return errEvent
	}
	name := value[l.First+1 : l.FirstEnd-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		name = rawjson.AppendUnescaped(nil, name)
	}
	if packet.Reserved(name) {
		return errEvent
	}
	return nil
}

// AppendEvent appends the data of a message.
func AppendEvent(dst, data []byte, attachments [][]byte) ([]byte, error) {
	if !utf8.Valid(data) {
		return dst, errJSON
	}
	if err := CheckEvent(data); err != nil {
		return dst, err
	}
	if len(attachments) > 0 && packet.CheckData(data, len(attachments)) != nil {
		return dst, packet.ErrPlaceholder
	}
	return append(dst, data...), nil
}

// First returns the first of the values of an ack, nil if there is none. It is checked.
func First(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, nil
	}
	l, ok := rawjson.ScanList(data, packet.MaxDepth)
	if !ok || !utf8.Valid(data) {
		return nil, errValue
	}
	if l.N == 0 {
		return nil, nil
	}
	return data[l.First:l.FirstEnd], nil
}

// FirstHasBinary reports whether the first of the values of an ack has attachments.
func FirstHasBinary(data []byte, attachments [][]byte) bool {
	if len(attachments) == 0 {
		return false
	}
	first, err := First(data)
	return err == nil && rawjson.HasPlaceholder(first)
}

// List returns the list with a value as its only element, and the attachments in it. An
// absent value makes an empty list.
func List(value []byte, attachments [][]byte) ([]byte, [][]byte, error) {
	if value == nil {
		return []byte("[]"), nil, nil
	}
	if !rawjson.Scan(value, packet.MaxDepth-1) {
		return nil, nil, errValue
	}
	value, attachments = Attached(value, attachments)
	list := append(make([]byte, 0, len(value)+2), '[')
	return append(append(list, value...), ']'), attachments, nil
}

// AppendRaw appends JSON that has no attachments. It is checked.
func AppendRaw(dst, value []byte) ([]byte, error) {
	if !utf8.Valid(value) || !rawjson.Scan(value, packet.MaxDepth) {
		return dst, errValue
	}
	return append(dst, rawjson.HideNames(value)...), nil
}

// Raw returns a copy of JSON in which attachments are strings in base64.
func Raw(value []byte, attachments [][]byte) ([]byte, error) {
	if !rawjson.Scan(value, packet.MaxDepth) {
		return nil, errValue
	}
	return rawjson.AppendBase64(make([]byte, 0, len(value)), value, attachments), nil
}

// ReadPacket returns the event in the member packet of a broadcast, and the namespace if
// it is in there.
func ReadPacket(packet []byte, attachments [][]byte) (data []byte, own [][]byte, namespace string, err error) {
	if Present(packet) == nil {
		return nil, nil, "", errNoPacket
	}
	err = Members(packet, func(name, value []byte) (err error) {
		switch string(name) {
		case "type":
			if string(value) != "2" && string(value) != "5" { // with binary values
				return errNoEvent
			}
		case "data":
			data, own, err = Event(value, attachments)
		case "nsp":
			namespace, err = String(Present(value))
		}
		return In(name, err)
	})
	if err == nil && data == nil {
		err = errNoPacket
	}
	return data, own, namespace, err
}
