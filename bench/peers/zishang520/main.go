// Command zishang520 is the Go server github.com/zishang520/socket.io with default
// options, on net/http, and the handlers that bench/README.md lists. It is a module of
// its own, because of what that library needs.
package main

import (
	"encoding/json"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/zishang520/socket.io/servers/socket/v3"
)

func main() {
	port := flag.Int("port", 3000, "port on 127.0.0.1")
	flag.Parse()
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(*port)))
	if err == nil {
		err = (&http.Server{Handler: newHandler()}).Serve(l) //nolint:gosec // no timeouts, as in the other servers
	}
	slog.Error("bench server failed", slog.Any("err", err))
	os.Exit(1)
}

// newHandler serves a new Socket.IO server, and what bench/load asks of a server beside the load.
func newHandler() http.Handler {
	io := socket.NewServer(nil, nil)
	_ = io.On("connection", func(args ...any) {
		if s, ok := args[0].(*socket.Socket); ok {
			register(io, s)
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io.ServeHandler(nil))
	mux.HandleFunc("/bench/gc", func(w http.ResponseWriter, _ *http.Request) {
		debug.FreeOSMemory() // collects before
		_, _ = w.Write([]byte("{}"))
	})
	mux.HandleFunc("/bench/collections", func(w http.ResponseWriter, _ *http.Request) {
		var s debug.GCStats
		debug.ReadGCStats(&s)
		_ = json.NewEncoder(w).Encode(s.NumGC)
	})
	return mux
}

// register registers the handlers of a new socket. Nobody is told of errors: the load
// generator notices what does not arrive.
func register(io *socket.Server, s *socket.Socket) {
	on := func(event string, handler func(args arguments)) {
		_ = s.On(event, func(args ...any) { handler(args) })
	}
	on("echo", func(args arguments) { _ = s.Emit("echo", args[0]) })
	on("bin", func(args arguments) { _ = s.Emit("bin", args[0]) })
	on("echoAck", func(args arguments) { args.ack()([]any{args[0]}, nil) })
	on("json", func(args arguments) {
		if o, err := typed(args[0]); err == nil {
			_ = s.Emit("json", o)
		}
	})
	on("join", func(args arguments) {
		s.Join(args.room())
		args.ack()([]any{}, nil)
	})
	on("bcast", func(args arguments) {
		args.burst(func(i int, pad string) { _ = io.Emit("b", i, pad) })
	})
	on("room", func(args arguments) {
		args[1:].burst(func(i int, pad string) { _ = io.To(args.room()).Emit("b", i, pad) })
	})
}

// arguments are those of an event, with the function for an acknowledgement as the last
// one. They are as bench/README.md says: what is not would be zero.
type arguments []any

func (args arguments) room() socket.Room { return socket.Room(as[string](args[0])) }

func (args arguments) ack() socket.Ack { return as[socket.Ack](args[len(args)-1]) }

// burst calls emit with each number below the first argument, and with so much text as
// the second one says.
func (args arguments) burst(emit func(i int, pad string)) {
	pad := strings.Repeat("x", int(as[float64](args[1])))
	for i := range int(as[float64](args[0])) {
		emit(i, pad)
	}
}

func as[T any](arg any) T {
	v, _ := arg.(T)
	return v
}

// typed gives a document its type: the library itself decodes to any alone.
func typed(document any) (o order, err error) {
	b, err := json.Marshal(document)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	return o, err
}

// An order is the document of the event "json".
type order struct {
	ID       string            `json:"id"`
	UserID   int64             `json:"userId"`
	Created  string            `json:"createdAt"`
	Paid     bool              `json:"paid"`
	Total    float64           `json:"total"`
	Note     string            `json:"note"`
	Address  map[string]string `json:"address"`
	Items    []item            `json:"items"`
	Position []float64         `json:"position"`
}

type item struct {
	SKU   string   `json:"sku"`
	Name  string   `json:"name"`
	Qty   int      `json:"qty"`
	Price float64  `json:"price"`
	Tags  []string `json:"tags"`
}
