package main

import (
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// Both clients connect in each way. The echo of the other one is not ours to promise.
func TestBothClientsAreMeasured(t *testing.T) {
	t.Parallel()
	// Over polling, the other client waits for the next ping.
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler), PingInterval: time.Second})
	srv.On("echo", sio.Reply(func(_ *sio.Ctx, s string) (string, error) { return s, nil }))
	web := httptest.NewServer(srv)
	t.Cleanup(web.Close)
	for kind, dial := range map[string]func(url, transport string) (client, error){"sioplug": dialOurs, "zishang520": dialTheirs} {
		for _, transport := range transports {
			c, err := dial(web.URL, transport)
			if err == nil && kind == "sioplug" {
				err = c.echo("text")
			}
			if err != nil {
				t.Errorf("%s over %s: %v", kind, transport, err)
			}
		}
	}
}

func TestTheMedianIsTheMiddle(t *testing.T) {
	t.Parallel()
	all := []result{{Heap: 3}, {Heap: 1}, {Heap: 2}}
	if got := median(all, func(r result) float64 { return r.Heap }); got != 2 {
		t.Errorf("%v", got)
	}
}
