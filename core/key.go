package sio

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/rescue"
)

// A Key names one value of a type that is kept on sockets: the user that a
// connect chain found, for example. Keys are compared by identity, so two with
// the same name do not meet.
type Key[T any] struct {
	name string
	data bool
}

// NewKey returns a new key. The name is for people. Values stay on this server.
func NewKey[T any](name string) *Key[T] { return &Key[T]{name: name} }

// NewDataKey returns a new key for values that are part of their socket's data, under
// that name. Other servers of a cluster see them ([RemoteSocket.Data]). They survive
// connection state recovery, also if the client comes back to another server. T must
// encode as JSON and back; NewDataKey panics if it cannot.
func NewDataKey[T any](name string) *Key[T] {
	var none T
	if _, err := json.Marshal(none); err != nil {
		if _, never := errors.AsType[*json.UnsupportedTypeError](err); never {
			misuse.Panic(fmt.Sprintf("sio: NewDataKey(%q): %v: use NewKey, whose values stay on this server", name, err))
		}
	}
	return &Key[T]{name: name, data: true}
}

// String returns the name.
func (k *Key[T]) String() string { return k.name }

// dataName returns the name that values have in their socket's data, if they
// are part of it.
func (k *Key[T]) dataName() (string, bool) { return k.name, k.data }

// Set keeps v on the socket, also while its client connects.
func (k *Key[T]) Set(s *Socket, v T) {
	s.mu.Lock()
	s.setValue(k, v)
	s.mu.Unlock()
	if k.data {
		s.observeData(k.name)
	}
}

// setValue sets a value; mu is held.
func (s *Socket) setValue(k, v any) {
	if s.values == nil {
		s.values = make(map[any]any, 1)
	}
	s.values[k] = v
}

// Get returns the socket's value, and whether it has one.
func (k *Key[T]) Get(s *Socket) (T, bool) {
	v, raw, ok := k.lookup(s)
	if ok || raw == nil {
		return v, ok
	}
	v, err := decodeData[T](raw)
	if err != nil {
		return v, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if value, ok := s.values[k]; ok { // it has been set or decoded meanwhile
		v, _ = value.(T)
		return v, true
	}
	s.setValue(k, v)
	return v, true
}

// lookup returns the value that is set, or else the JSON to decode it from.
func (k *Key[T]) lookup(s *Socket) (v T, raw json.RawMessage, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value, ok := s.values[k]; ok {
		v, _ = value.(T) // fails for the nil of an interface type, which is the zero T
		return v, nil, true
	}
	if k.data {
		raw = s.data[k.name]
	}
	return v, raw, false
}

// Of returns the value of a data key that is set on a socket of another server,
// or of this one, and whether there is one of its type.
func (k *Key[T]) Of(r RemoteSocket) (T, bool) {
	v, err := decodeData[T](r.Data[k.name])
	return v, err == nil && k.data
}

// errNoValue is for a key that was not set.
var errNoValue = errors.New("no value")

func decodeData[T any](raw json.RawMessage) (v T, err error) {
	if raw == nil {
		return v, errNoValue
	}
	err = rescue.Call(func() error { return json.Unmarshal(raw, &v) })
	return v, err
}

// dataJSON returns the socket's data: a JSON object of the values of data keys,
// by name.
func (s *Socket) dataJSON() ([]byte, error) {
	data, err := s.dataByName()
	if err != nil {
		return nil, err
	}
	return json.Marshal(data)
}

func (s *Socket) dataByName() (map[string]json.RawMessage, error) {
	s.mu.Lock()
	data, values := maps.Clone(s.data), maps.Clone(s.values)
	s.mu.Unlock()
	if data == nil {
		data = make(map[string]json.RawMessage)
	}
	for k, v := range values {
		name, ok := k.(interface{ dataName() (string, bool) }).dataName() //nolint:forcetypeassert,errcheck // all are Keys
		if !ok {
			continue
		}
		var raw []byte
		err := rescue.Call(func() (err error) {
			raw, err = json.Marshal(v)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("encoding the value of key %q: %w", name, err)
		}
		data[name] = raw
	}
	return data, nil
}
