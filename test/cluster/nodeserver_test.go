package cluster_test

import (
	"context"
	"fmt"
	"testing"
)

// A nodeServer is a server of the official packages.
type nodeServer struct {
	peer *peer
	id   string
	port int
}

// A start is the command that starts a server or an emitter.
type start struct {
	Op         string         `json:"op"`
	Redis      string         `json:"redis,omitempty"`
	Postgres   string         `json:"postgres,omitempty"` // instead of Redis
	Adapter    string         `json:"adapter,omitempty"`
	Options    map[string]any `json:"options,omitempty"` // of the adapter or the emitter
	Namespaces []string       `json:"namespaces,omitempty"`
	Recovery   bool           `json:"recovery,omitempty"`
}

// at returns the command with the address of Redis, or the URL of PostgreSQL.
func (s start) at(v variant, addr string) start {
	if v.adapter == postgres {
		s.Postgres = addr
	} else {
		s.Redis = "redis://" + addr
	}
	return s
}

// startNodeServer starts a server in a process. addr is where Redis listens, or the URL of
// PostgreSQL.
func startNodeServer(t *testing.T, p *peer, name string, v variant, addr string) *nodeServer {
	t.Helper()
	s := &nodeServer{peer: p, id: name}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var started struct{ Port int }
	err := p.call(ctx, "server", name, start{
		Op: "start", Adapter: v.adapter, Options: v.options,
		Namespaces: append(namespaces(), only(name)), Recovery: v.recovery,
	}.at(v, addr), &started)
	if err != nil {
		t.Fatal(err)
	}
	s.port = started.Port
	return s
}

func (s *nodeServer) name() string   { return s.id }
func (s *nodeServer) url() string    { return fmt.Sprintf("http://127.0.0.1:%d", s.port) }
func (s *nodeServer) official() bool { return true }

func (s *nodeServer) do(ctx context.Context, c command) (r result, err error) {
	err = s.peer.call(ctx, "server", s.id, c, &r)
	return r, err
}

// stop stops the server.
func (s *nodeServer) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.peer.call(ctx, "server", s.id, command{Op: "stop"}, new(any)); err != nil {
		t.Fatal(err)
	}
}

// A nodeEmitter is an emitter of the official packages.
type nodeEmitter struct {
	peer *peer
	id   string
}

func startNodeEmitter(t *testing.T, p *peer, name string, v variant, addr string) *nodeEmitter {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	options := map[string]any{}
	if key, ok := v.options["key"]; ok {
		options["key"] = key
	}
	if err := p.call(ctx, "emitter", name, start{Op: "start", Options: options}.at(v, addr), new(any)); err != nil {
		t.Fatal(err)
	}
	return &nodeEmitter{p, name}
}

func (e *nodeEmitter) do(ctx context.Context, c command) (r result, err error) {
	err = e.peer.call(ctx, "emitter", e.id, c, &r)
	return r, err
}
