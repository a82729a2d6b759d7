package adapter

// A ring is a queue in a ring buffer. It frees memory when it has shrunk.
type ring[T any] struct {
	items []T // its length is a power of two
	head  int
	n     int
}

// minRing is the smallest capacity.
const minRing = 8

func (r *ring[T]) len() int { return r.n }

func (r *ring[T]) at(i int) T { return r.items[(r.head+i)&(len(r.items)-1)] }

func (r *ring[T]) push(v T) {
	if r.n == len(r.items) {
		r.resize(max(minRing, 2*r.n))
	}
	r.items[(r.head+r.n)&(len(r.items)-1)] = v
	r.n++
}

func (r *ring[T]) pop() T {
	var none T
	v := r.items[r.head]
	r.items[r.head] = none
	r.head = (r.head + 1) & (len(r.items) - 1)
	r.n--
	if len(r.items) > minRing && r.n <= len(r.items)/4 {
		r.resize(len(r.items) / 2)
	}
	return v
}

func (r *ring[T]) resize(size int) {
	items := make([]T, size)
	for i := range r.n {
		items[i] = r.at(i)
	}
	r.items, r.head = items, 0
}
