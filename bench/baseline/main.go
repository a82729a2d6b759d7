// Command baseline answers the events of the benchmark with the bytes that a
// Socket.IO server would send, found by comparing prefixes: no sessions, no
// parser, no handlers. What a server costs above it is the price of Socket.IO.
//
// It writes every message by a system call of its own, as programs do that use a
// WebSocket library. It also knows long-polling, and no upgrade from one to the other.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lxzan/gws"

	"github.com/sioplug/sioplug/bench/internal/app"
)

func main() {
	port := flag.Int("port", 3000, "port on 127.0.0.1")
	flag.Parse()
	if err := run(*port); err != nil {
		slog.Error("bench baseline failed", slog.Any("err", err))
		os.Exit(1)
	}
}

func run(port int) error {
	l, err := app.Listen(port)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	upgrader := gws.NewUpgrader(&handler{rooms: newRooms()}, nil)
	mux := http.NewServeMux()
	app.Control(mux)
	polling := newPollers()
	mux.HandleFunc("/socket.io/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			polling.ServeHTTP(w, r)
			return
		}
		conn, err := upgrader.Upgrade(w, r)
		if err != nil {
			return // it has answered
		}
		go conn.ReadLoop() // on a fresh stack, as gws advises
	})
	return (&http.Server{Handler: mux}).Serve(l) //nolint:gosec // no timeouts, as in the other servers
}

// What a client gets that opens a session and joins the root namespace.
const (
	noID       = "AAAAAAAAAAAAAAAAAAAA"
	openPacket = `0{"sid":"` + noID + `","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
	connected  = `40{"sid":"BBBBBBBBBBBBBBBBBBBB"}`
)

// interval is the default pingInterval of Socket.IO servers.
const interval = 25 * time.Second

// A handler answers what clients send.
type handler struct {
	gws.BuiltinEventHandler

	rooms *rooms
}

// heartbeatKey is where a connection keeps its timer.
const heartbeatKey = "heartbeat"

// OnOpen implements [gws.Event].
func (h *handler) OnOpen(c *gws.Conn) {
	h.rooms.join(c, everybody)
	send(c, []byte(openPacket))
	h.heartbeat(c)
}

// heartbeat sends pings until one fails, each by a new timer, so that OnClose
// can stop the next one without a lock.
func (h *handler) heartbeat(c *gws.Conn) {
	c.Session().Store(heartbeatKey, time.AfterFunc(interval, func() {
		if c.WriteMessage(gws.OpcodeText, []byte("2")) == nil {
			h.heartbeat(c)
		}
	}))
}

// OnClose implements [gws.Event].
func (h *handler) OnClose(c *gws.Conn, _ error) {
	if v, ok := c.Session().Load(heartbeatKey); ok {
		if t, ok := v.(*time.Timer); ok {
			t.Stop()
		}
	}
	h.rooms.leaveAll(c)
}

// OnMessage implements [gws.Event].
func (h *handler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	if m.Opcode == gws.OpcodeBinary {
		_ = c.WriteMessage(gws.OpcodeBinary, m.Bytes())
		return
	}
	if err := h.text(c, m.Bytes()); err != nil {
		slog.Error("bench baseline got an unknown message", slog.Any("err", err))
		_ = c.WriteClose(1002, nil)
	}
}

func (h *handler) text(c *gws.Conn, b []byte) error {
	switch {
	case bytes.Equal(b, []byte("40")):
		send(c, []byte(connected))
	case bytes.Equal(b, []byte("3")): // a heartbeat's answer
	case bytes.HasPrefix(b, []byte(`42["echo",`)), bytes.HasPrefix(b, []byte(`451-["bin",`)):
		send(c, b)
	case bytes.HasPrefix(b, []byte(`42["json",`)):
		return document(c, b[len(`42["json",`):len(b)-1])
	case bytes.HasPrefix(b, []byte(`42["bcast",`)), bytes.HasPrefix(b, []byte(`42["room",`)):
		return h.broadcast(b)
	default:
		return h.acknowledge(c, b)
	}
	return nil
}

// acknowledge answers events with an id: 42<id>["echoAck",<data>] and 42<id>["join",<room>].
func (h *handler) acknowledge(c *gws.Conn, b []byte) error {
	head, args, _ := bytes.Cut(b, []byte("["))
	id, isEvent := bytes.CutPrefix(head, []byte("42"))
	name, arg, _ := bytes.Cut(args, []byte(","))
	reply := append([]byte("43"), id...)
	switch {
	case isEvent && bytes.Equal(name, []byte(`"echoAck"`)):
		reply = append(append(reply, '['), arg...)
	case isEvent && bytes.Equal(name, []byte(`"join"`)) && len(arg) > 3:
		h.rooms.join(c, string(arg[1:len(arg)-2]))
		reply = append(reply, "[]"...)
	default:
		return fmt.Errorf("%.50q", b)
	}
	send(c, reply)
	return nil
}

// document decodes and encodes as an application does, which is not what is
// compared, so that it is the same everywhere.
func document(c *gws.Conn, b []byte) error {
	var o app.Order
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	send(c, append(append([]byte(`42["json",`), b...), ']'))
	return nil
}

// broadcast answers 42["bcast",<n>,<size>] and 42["room",<room>,<n>,<size>].
func (h *handler) broadcast(b []byte) error {
	var args []any
	if err := json.Unmarshal(b[len("42"):], &args); err != nil {
		return err
	}
	room := everybody
	if len(args) == 4 {
		room, _ = args[1].(string)
		args = args[1:]
	}
	if len(args) != 3 {
		return errors.New("broadcast of neither 3 nor 4 elements")
	}
	n, _ := args[1].(float64)
	size, _ := args[2].(float64)
	pad := strings.Repeat("x", int(size))
	for i := range int(n) {
		message := []byte(`42["b",` + strconv.Itoa(i) + `,"` + pad + `"]`)
		for _, c := range h.rooms.members(room) {
			send(c, message)
		}
	}
	return nil
}

// send writes a text message. A connection that cannot be written to is found
// out by the reading side.
func send(c *gws.Conn, text []byte) { _ = c.WriteMessage(gws.OpcodeText, text) }
