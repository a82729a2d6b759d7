package sio_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/siotest"
)

// A snag makes one place in the application's code hang, from when it is set until it
// is over.
type snag struct {
	place string
	set   atomic.Bool
	hit   atomic.Bool
	over  chan struct{}
}

func (s *snag) at(place string) {
	if place == s.place && s.set.Load() {
		s.hit.Store(true)
		<-s.over
	}
}

// Cluster, adapter, log, logger, parser and connection of the application.
type (
	snagCluster struct {
		adapter.Cluster
		*snag
	}
	snagAdapter struct {
		adapter.Adapter
		*snag
	}
	snagLog struct {
		adapter.Log
		*snag
	}
	snagLogger struct{ *snag }
	snagParser struct{ *snag }
	snagConn   struct {
		net.Conn
		*snag
	}
	snagWriter struct {
		http.ResponseWriter
		*snag
	}
)

func (c snagCluster) Join(namespace string, n adapter.Node) adapter.Adapter {
	c.at("Cluster.Join")
	return snagAdapter{c.Cluster.Join(namespace, n), c.snag}
}

func (a snagAdapter) Publish(m *adapter.Message) error {
	a.at("Adapter.Publish")
	return a.Adapter.Publish(m)
}

func (a snagAdapter) Close() error {
	a.at("Adapter.Close")
	return a.Adapter.Close()
}

func (a snagAdapter) RoomCreated(string) { a.at("RoomWatcher") }
func (a snagAdapter) RoomDeleted(string) { a.at("RoomWatcher") }

func (l snagLog) Append(m *adapter.Message, deliver func(string)) error {
	l.at("Log.Append")
	return l.Log.Append(m, deliver)
}

func (l snagLog) Save(ctx context.Context, s *adapter.Session) error {
	l.at("Log.Save")
	return l.Log.Save(ctx, s)
}

func (l snagLog) Close() error {
	l.at("Log.Close")
	return l.Log.Close()
}

func (snagLogger) Enabled(context.Context, slog.Level) bool { return true }
func (l snagLogger) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l snagLogger) WithGroup(string) slog.Handler          { return l }

func (l snagLogger) Handle(context.Context, slog.Record) error {
	l.at("Logger")
	return nil
}

func (p snagParser) NewDecoder(parser.Limits) parser.Decoder { return p }

func (p snagParser) Encode(*parser.Packet) ([]parser.Message, error) {
	p.at("Parser.Encode")
	return []parser.Message{{Data: []byte("packet")}}, nil
}

// Decode takes a message for a CONNECT to the namespace of that name.
func (p snagParser) Decode(m parser.Message) (*parser.Packet, error) {
	p.at("Decoder.Decode")
	return &parser.Packet{Type: parser.Connect, Namespace: string(m.Data)}, nil
}

func (w snagWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	return snagConn{conn, w.snag}, rw, err
}

func (c snagConn) Write(p []byte) (int, error) {
	c.at("Conn.Write")
	return c.Conn.Write(p)
}

func (c snagConn) Close() error {
	c.at("Conn.Close")
	return c.Conn.Close()
}

// options has everything of the application's that can be given to a server.
func (s *snag) options() *sio.Options {
	o := &sio.Options{
		Logger:  slog.New(snagLogger{s}),
		Adapter: snagCluster{adapter.NewMemory(), s},
		ConnectionStateRecovery: &sio.Recovery{Log: func(string) adapter.Log {
			s.at("Recovery.Log")
			return snagLog{adapter.NewMemoryLog(adapter.MemoryLogOptions{}), s}
		}},
	}
	if s.place == "OnNamespaceEnd" {
		o.CleanupEmptyChildNamespaces = true
		o.ConnectionStateRecovery = nil // or the client may come back
	}
	if s.place == "Parser.Encode" || s.place == "Decoder.Decode" {
		o.Parser = snagParser{s}
	}
	return o
}

func (s *snag) register(srv *sio.Server) {
	hanging := func(place string) sio.Handler { return func(*sio.Ctx) error { s.at(place); return nil } }
	srv.OfFunc(func(string, *sio.Handshake) bool { s.at("OfFunc"); return true })
	srv.OnNewNamespace(func(*sio.Namespace) { s.at("OnNewNamespace") })
	srv.OnNamespaceEnd(func(*sio.Namespace) { s.at("OnNamespaceEnd") })
	srv.UseConnect(sio.Guard(func(c *sio.Ctx) error {
		c.OnAccept(hanging("OnAccept"))
		c.OnEnd(func() { s.at("OnEnd") })
		s.at("UseConnect")
		return nil
	}))
	srv.OnConnect(hanging("OnConnect"))
	srv.OnDisconnect(func(*sio.Socket, sio.Reason) { s.at("OnDisconnect") })
	srv.OnRoom(func(sio.RoomEvent) { s.at("OnRoom") })
	srv.OnAnyOutgoing(func(*sio.Socket, string, sio.Args) { s.at("OnAnyOutgoing") })
	srv.UseEvents(sio.Guard(func(*sio.Ctx) error { s.at("UseEvents"); return nil }))
	srv.On("event", func(c *sio.Ctx) error {
		s.at("On")
		return errors.Join(c.Join("room"), srv.Emit("all"))
	})
}

// Whatever of the application's code hangs, and whoever called it, Shutdown returns
// when its context has ended. When the code returns, everything else ends, too.
func TestShutdownHungWithTheApplicationsCode(t *testing.T) {
	for _, place := range []string{
		"OfFunc", "OnNewNamespace", "OnNamespaceEnd", "UseConnect", "OnAccept", "OnConnect", "OnDisconnect", "OnEnd", "OnRoom",
		"OnAnyOutgoing", "UseEvents", "On", "Cluster.Join", "Adapter.Publish", "Adapter.Close", "RoomWatcher",
		"Recovery.Log", "Log.Append", "Log.Save", "Log.Close", "Logger", "Parser.Encode", "Decoder.Decode",
		"Conn.Write", "Conn.Close",
	} {
		t.Run(place, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &snag{place: place, over: make(chan struct{})}
				srv := sio.New(s.options())
				s.register(srv)
				d := siotest.Pipes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					srv.ServeHTTP(snagWriter{w, s}, r)
				}))
				clients := []*siotest.Client{d.WebSocket(t, "40"), d.WebSocket(t), d.WebSocket(t)}
				synctest.Wait()
				s.set.Store(true)
				for i, packets := range [][]string{{`42["event"]`}, {"40"}, {"40/dynamic,"}} {
					go func() {
						_ = clients[i].TrySend(packets...)
						for { // until the server or the test ends the connection
							if _, err := clients[i].TryNext(); err != nil {
								return
							}
						}
					}()
				}
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				begin := time.Now()
				err := srv.Shutdown(ctx)
				// Who closes a connection may be somebody for whom Shutdown does not wait, and a
				// log gets five seconds to keep a session.
				alone := err == nil && (place == "Conn.Close" || place == "Log.Save")
				if took := time.Since(begin); took > 6*time.Second || !alone && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Shutdown with a context of 5 s: %v after %v", err, took)
				}
				if !s.hit.Load() {
					t.Error("nothing hung")
				}
				close(s.over)
				if err := srv.Shutdown(t.Context()); err != nil {
					t.Errorf("Shutdown when nothing hangs any more: %v", err)
				}
			})
		})
	}
}
