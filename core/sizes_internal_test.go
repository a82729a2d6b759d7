package sio

import (
	"reflect"
	"testing"
)

// TestSizes bounds what exists for each client, each socket and each event. The limits
// are sizes of the allocator: one byte more costs the next one.
func TestSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value any
		limit uintptr
	}{
		{client{}, 320},
		{Socket{}, 320},
		{task{}, 128},
		{smallTask{}, 176},
		{pendingAck{}, 112},
	} {
		if typ := reflect.TypeOf(c.value); typ.Size() > c.limit {
			t.Errorf("a %s has %d bytes, more than %d", typ.Name(), typ.Size(), c.limit)
		}
	}
}
