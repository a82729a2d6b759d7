package cluster_test

import (
	"context"
	"testing"
)

// A driver makes something happen in a cluster: a server, or an emitter.
type driver interface {
	do(ctx context.Context, c command) (result, error)
}

// A member is a server of a cluster, in this process or in one of Node.js.
type member interface {
	driver

	name() string
	url() string // without a path
	official() bool
	stop(t *testing.T)
}

// A command is what servers and emitters of both languages understand.
type command struct {
	Op       string   `json:"op"`
	NS       string   `json:"ns"`
	To       []any    `json:"to,omitempty"` // rooms, which may be numbers
	Except   []any    `json:"except,omitempty"`
	Volatile bool     `json:"volatile,omitempty"`
	Missable bool     `json:"-"` // of a Go server: slow clients may miss the event
	Compress *bool    `json:"compress,omitempty"`
	Local    bool     `json:"local,omitempty"`
	Args     []any    `json:"args,omitempty"` // the event's name, and values of values_test.go
	Rooms    []string `json:"rooms,omitempty"`
	Close    bool     `json:"close,omitempty"`
	Socket   string   `json:"socket,omitempty"`  // id
	Method   string   `json:"method,omitempty"`  // of a RemoteSocket
	Timeout  int      `json:"timeout,omitempty"` // of ask, in milliseconds
	Enough   int      `json:"-"`                 // a Go server waits for no more values than that, unless it is 0
}

// A result is the answer to a command.
type result struct {
	Values  []any        // answers of clients or servers
	Failed  string       // why there are not more
	Missing int          // of a Go server: how many answers are missing
	Sockets []socketInfo // descriptions
	Rooms   []string     // of all servers
	Count   int          // of servers
}

// A socketInfo describes a socket.
type socketInfo struct {
	ID        string
	Rooms     []string
	Data      map[string]any
	Handshake map[string]any // with the members of JavaScript
}
