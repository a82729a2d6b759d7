package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// A usage is what the server says of itself.
type usage struct {
	RSS     int64         // bytes in memory, 0 where the system does not tell
	CPU     time.Duration // that it has used so far, likewise
	Heap    int64         // bytes in use
	Handled int64
	Refused int64
}

func (u usage) max(v usage) usage {
	return usage{
		max(u.RSS, v.RSS), max(u.CPU, v.CPU), max(u.Heap, v.Heap), max(u.Handled, v.Handled), max(u.Refused, v.Refused),
	}
}

func (u usage) String() string {
	const mega = 1e6
	return fmt.Sprintf("%.1f MB in memory, %.1f MB of heap", float64(u.RSS)/mega, float64(u.Heap)/mega)
}

// serve is the server, until its standard input ends.
func serve(policy string) error {
	var handled, refused atomic.Int64
	srv := sio.New(nil)
	srv.On("join", func(c *sio.Ctx) error { return errors.Join(c.Join("lobby"), c.Ack()) })
	limits, err := limitsOf(policy, ratelimit.Observe(func(ratelimit.Refusal) { refused.Add(1) }))
	if err != nil {
		return err
	}
	srv.On("post", sio.Reply(func(c *sio.Ctx, text string) (bool, error) {
		handled.Add(1)
		return true, c.To("lobby").Emit("posted", c.ID(), text)
	}), limits...)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	mux.HandleFunc("/stats", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("gc") {
			runtime.GC()
			debug.FreeOSMemory()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		rss, cpu := self()
		_ = json.NewEncoder(w).Encode(usage{rss, cpu, int64(m.HeapAlloc), handled.Load(), refused.Load()}) //nolint:gosec // fits
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr()) //nolint:forbidigo // for the process that started this
	failed := make(chan error, 1)
	go func() { failed <- http.Serve(l, mux) }() //nolint:gosec // it is there for a few seconds
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	select {
	case err := <-failed:
		return err
	case <-ended:
		return nil
	}
}

// limitsOf returns what stands around the chat's handler.
func limitsOf(policy string, observe ratelimit.Option) ([]sio.Middleware, error) {
	opts := []ratelimit.Option{observe}
	switch policy {
	case "none":
		return nil, nil
	case "refuse":
	case "drop":
		opts = append(opts, ratelimit.Drop())
	case "delay":
		opts = append(opts, ratelimit.Delay(time.Minute))
	case "disconnect":
		opts = append(opts, ratelimit.DisconnectAfter(50)) //nolint:mnd // patient
	default:
		return nil, fmt.Errorf("unknown -policy %q", policy)
	}
	const perSecond = 10
	return []sio.Middleware{ratelimit.PerSocket(perSecond, time.Second, opts...)}, nil
}
