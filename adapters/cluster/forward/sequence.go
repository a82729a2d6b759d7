package forward

// sequenceSize is how far requests of one server may overtake each other.
const sequenceSize = 4096

// A sequence knows which requests of another server have come. So none is served twice,
// whatever the broker or somebody who can write to it does.
type sequence struct {
	top  uint64 // the highest number that has come
	seen [sequenceSize / 64]uint64
}

// accept reports whether a number comes for the first time, and is not too old to know.
func (s *sequence) accept(n uint64) bool {
	if n == 0 || n+sequenceSize <= s.top || n+sequenceSize < n {
		return false
	}
	for skipped := 0; s.top < n; skipped++ {
		if skipped == sequenceSize {
			s.top = n
			break
		}
		s.top++
		s.seen[s.top/64%uint64(len(s.seen))] &^= 1 << (s.top % 64)
	}
	word, bit := &s.seen[n/64%uint64(len(s.seen))], uint64(1)<<(n%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
