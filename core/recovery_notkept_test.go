package sio_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
)

// An unkeeping log keeps no session.
type unkeeping struct{ adapter.Log }

func (unkeeping) Save(context.Context, *adapter.Session) error {
	return fmt.Errorf("too early: %w", adapter.ErrNotKept)
}

// Clients that leave at a bad moment do not fill the log.
func TestSessionsThatAreNotKeptAreLoggedAtDebug(t *testing.T) {
	t.Parallel()
	book := new(logbook)
	opts := &sio.Options{Logger: slog.New(book), ConnectionStateRecovery: &sio.Recovery{
		Log: func(string) adapter.Log { return unkeeping{adapter.NewMemoryLog(adapter.MemoryLogOptions{})} },
	}}
	bubble(t, opts, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		v := arrive(t, srv, d.WebSocket(t))
		v.Abort()
		synctest.Wait()
		id := v.id
		v.connect(t, d.WebSocket(t))
		if v.id == id {
			t.Error("it was kept")
		}
		book.mustBeQuiet(t)
		if text := strings.Join(book.all(), "\n"); !strings.Contains(text, "DEBUG session not kept ns=/ err=too early: adapter: session not kept") {
			t.Errorf("logged %s", text)
		}
	})
}
