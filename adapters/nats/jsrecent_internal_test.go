package natsadapter

import (
	"testing"
)

func numbers(list []stored) (first, last uint64) {
	if len(list) == 0 {
		return 0, 0
	}
	return list[0].seq, list[len(list)-1].seq
}

// Only consecutive messages of one stream are kept, and only so many bytes of them.
func TestRecentMessages(t *testing.T) {
	t.Parallel()
	var r recentMessages
	must := func(from uint64, n int, first, last uint64) {
		t.Helper()
		if a, b := numbers(r.from(1, from, n)); a != first || b != last {
			t.Errorf("from %d: %d to %d, want %d to %d", from, a, b, first, last)
		}
	}
	must(1, 10, 0, 0)
	for seq := uint64(5); seq <= 20; seq++ {
		r.add(1, stored{seq: seq})
	}
	must(4, 10, 0, 0)
	must(5, 10, 5, 14)
	must(15, 10, 15, 20)
	must(21, 10, 0, 0)
	if list := r.from(2, 5, 10); list != nil {
		t.Errorf("of another stream: %v", list)
	}
	r.add(1, stored{seq: 22}) // 21 was not read
	must(20, 10, 0, 0)
	must(22, 10, 22, 22)
	r.add(2, stored{seq: 23})
	must(22, 10, 0, 0)

	const size = 1 << 20
	for seq := uint64(1); seq <= 100; seq++ {
		r.add(1, stored{seq: seq, data: make([]byte, size)})
		total := 0
		for i := range r.list {
			total += r.list[i].size()
		}
		if total != r.bytes || total > maxRecentBytes {
			t.Fatalf("%d bytes, and %d are counted", total, r.bytes)
		}
	}
	must(93, 10, 0, 0)
	must(94, 10, 94, 100)
	r.add(1, stored{seq: 101, data: make([]byte, maxRecentBytes)}) // which is too large alone
	must(101, 10, 0, 0)
	r.add(1, stored{seq: 102})
	must(102, 10, 102, 102)
}
