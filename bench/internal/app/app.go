// Package app is what the Go programs of the benchmark have in common.
package app

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"runtime/debug"
	"strconv"
)

// An Order is the document of the event "json", about 1 KiB. Its fields and the
// keys of its maps are in the order in which both Go and JavaScript encode them.
type Order struct {
	ID       string            `json:"id"`
	UserID   int64             `json:"userId"`
	Created  string            `json:"createdAt"`
	Paid     bool              `json:"paid"`
	Total    float64           `json:"total"`
	Note     string            `json:"note"`
	Address  map[string]string `json:"address"`
	Items    []Item            `json:"items"`
	Position []float64         `json:"position"`
}

// An Item is a part of an [Order].
type Item struct {
	SKU   string   `json:"sku"`
	Name  string   `json:"name"`
	Qty   int      `json:"qty"`
	Price float64  `json:"price"`
	Tags  []string `json:"tags"`
}

// Listen listens on loopback.
func Listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// Control adds to mux what is asked of a server beside the load: to collect
// garbage, how often it has, and for profiles.
func Control(mux *http.ServeMux) {
	mux.HandleFunc("/bench/gc", collect)
	mux.HandleFunc("/bench/collections", func(w http.ResponseWriter, _ *http.Request) {
		var s debug.GCStats
		debug.ReadGCStats(&s)
		_ = json.NewEncoder(w).Encode(s.NumGC)
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
}

// collect frees what it can and tells what is left.
func collect(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]uint64{ // the load generator notices if it gets nothing
		"goroutines": uint64(runtime.NumGoroutine()), //nolint:gosec // not negative
		"heap":       m.HeapAlloc,
		"stacks":     m.StackInuse,
	})
}
