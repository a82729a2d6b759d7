package sio_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// A client of another server can cause any number of them.
func TestBroadcastsThatCannotBeSentAreLoggedOnceAMinute(t *testing.T) {
	memory := adapter.NewMemory()
	var book logbook
	bubble(t, &sio.Options{Adapter: memory, Logger: slog.New(&book)}, func(t *testing.T, _ *sio.Server, _ siotest.Dialer) {
		other := memory.Join("/", nil)
		send := func() {
			if err := other.Publish(&adapter.Message{Kind: adapter.Broadcast, Data: []byte(`["pictures"]`), Attachments: make([][]byte, 11)}); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		for range 100 {
			send()
		}
		time.Sleep(time.Minute)
		send()
		logged := book.above()
		if len(logged) != 2 || !strings.Contains(logged[0], " count=1 ") || !strings.Contains(logged[1], " count=100 ") {
			t.Errorf("logged %q", logged)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
}
