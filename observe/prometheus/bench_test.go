package sioprometheus_test

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/observe/internal/paired"
	sioprometheus "github.com/sioplug/sioplug/observe/prometheus"
)

// BenchmarkPaired compares a server with metrics and one without.
func BenchmarkPaired(b *testing.B) {
	paired.Run(b, paired.Observed{Observer: sioprometheus.New(nil).Observer()})
}

// BenchmarkStats is a scrape of a server with 1,000 clients.
func BenchmarkStats(b *testing.B) {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	hs := httptest.NewServer(srv)
	b.Cleanup(hs.Close)
	for range 1000 {
		paired.Open(b, strings.TrimPrefix(hs.URL, "http://"))
	}
	for b.Loop() {
		srv.Stats()
	}
}
