package sio

// A Key names one value of a type that is kept on sockets: the user that a
// connect chain found, for example. Keys are compared by identity, so two with
// the same name do not meet.
type Key[T any] struct{ name string }

// NewKey returns a new key. The name is for people.
func NewKey[T any](name string) *Key[T] { return &Key[T]{name} }

// String returns the name.
func (k *Key[T]) String() string { return k.name }

// Set keeps v on the socket, also while its client connects.
func (k *Key[T]) Set(s *Socket, v T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = make(map[any]any, 1)
	}
	s.values[k] = v
}

// Get returns what was set on the socket, and whether something was.
func (k *Key[T]) Get(s *Socket) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.values[k]
	v, _ := kept.(T) // fails for the nil of an interface type, which is the zero T
	return v, ok
}
