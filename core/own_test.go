package sio_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/internal/own"
)

// Events of this module's packages do not wait for handlers of the application, and a
// server without the package ignores them.
func TestOwnServerEvents(t *testing.T) {
	cluster := adapter.NewMemory()
	var book logbook
	bubble(t, &sio.Options{Adapter: cluster, Logger: slog.New(&book)}, func(t *testing.T, one *sio.Server, _ siotest.Dialer) {
		two := newServer(t, &sio.Options{Adapter: cluster})
		defer shutdown(t, two)
		release, got := make(chan struct{}), make(chan string, 2)
		one.OnServerEvent("slow", func(context.Context, sio.Args) (any, error) {
			<-release
			return nil, nil //nolint:nilnil // no answer
		})
		one.OnOwnServerEvent(own.Revoked, func(_ context.Context, args sio.Args) (any, error) {
			var s string
			err := args.Bind(&s)
			got <- s
			return nil, err
		})
		for range 11_000 { // more than may wait
			must(t, two.ServerSideEmit("slow"))
		}
		must(t, two.OwnServerSideEmit(own.Revoked, "now"))
		if s := <-got; s != "now" {
			t.Errorf("got %q", s)
		}
		must(t, two.OwnServerSideEmit(own.Revoker))
		synctest.Wait()
		close(release)
		for _, line := range book.all() {
			if strings.Contains(line, "failed") {
				t.Errorf("logged %s", line)
			}
		}
	})
}
