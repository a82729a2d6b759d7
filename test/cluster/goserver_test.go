package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster/forward"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
)

// A goServer is a server of this module, behind net/http.
type goServer struct {
	id       string
	addr     string
	srv      *sio.Server
	spaces   map[string]*sio.Namespace
	web      *http.Server
	served   chan error
	diary    *diary
	router   *forward.Router // nil if the cluster does not forward
	released chan struct{}   // closed at the end, for handlers that do not answer
	once     sync.Once       // of stop
}

// startGoServer starts a server, which stops with the test.
func (c *cluster) startGoServer(t *testing.T, name string, connection adapter.Cluster, recovery *sio.Recovery) *goServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &goServer{
		id: name, addr: ln.Addr().String(), diary: c.diary, served: make(chan error, 1), released: make(chan struct{}),
		spaces: make(map[string]*sio.Namespace),
	}
	opts := &sio.Options{
		Adapter: connection, ConnectionStateRecovery: recovery,
		Logger: slog.New(noErrors{slog.NewTextHandler(t.Output(), nil), t, c.faulty}).With(slog.String("server", name)),
	}
	if c.forward {
		s.router = newRouter(t, connection)
		opts.SessionRouter = s.router
	}
	s.srv = sio.New(opts)
	for _, ns := range append(namespaces(), only(name)) {
		s.spaces[ns] = s.srv.Of(ns)
		s.listen(s.spaces[ns])
	}
	s.web = &http.Server{Handler: s.srv}
	go func() { s.served <- s.web.Serve(ln) }()
	t.Cleanup(func() { s.stop(t) })
	return s
}

// noErrors is a log that has no errors, or the test fails unless it is faulty.
type noErrors struct {
	slog.Handler

	t      *testing.T
	faulty bool
}

// Handle implements [slog.Handler].
func (h noErrors) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError && !h.faulty {
		h.t.Errorf("there is an error in the log: %s", r.Message)
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h noErrors) WithAttrs(attrs []slog.Attr) slog.Handler {
	return noErrors{h.Handler.WithAttrs(attrs), h.t, h.faulty}
}

// stop stops the server. It may be called more than once.
func (s *goServer) stop(t *testing.T) {
	t.Helper()
	s.once.Do(func() { s.shutdown(t) })
}

func (s *goServer) shutdown(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	close(s.released)
	if err := errors.Join(s.srv.Shutdown(ctx), s.web.Shutdown(ctx)); err != nil {
		t.Errorf("stopping server %s: %v", s.id, err)
	}
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// clientName is the name of a socket's client: data that other servers see.
var clientName = sio.NewDataKey[string]("name")

// listen has what servers in Node.js do as well: see node/servers.js.
func (s *goServer) listen(ns *sio.Namespace) {
	ns.OnConnect(func(c *sio.Ctx) error {
		if c.Recovered() {
			return nil
		}
		var auth struct {
			Name  string
			Rooms []any
		}
		if err := json.Unmarshal(c.Handshake().Auth, &auth); err != nil {
			return err
		}
		clientName.Set(c.Socket, auth.Name)
		return c.Join(names(auth.Rooms)...)
	})
	ns.OnServerEvent("told", func(_ context.Context, args sio.Args) (any, error) {
		values, err := anyValues(args)
		if err == nil {
			s.diary.add(told(s.id, ns.Name()), canonical(append([]any{"told"}, values...)))
		}
		return nil, err
	})
	ns.OnServerEvent("exact", func(_ context.Context, args sio.Args) (any, error) {
		var v exact
		err := args.Bind(&v)
		return v, err
	})
	ns.OnAnyOutgoing(func(_ *sio.Socket, event string, args sio.Args) {
		if event == "exact" {
			var v exact
			if err := args.Bind(&v); err != nil {
				s.diary.add(exactly(s.id), err.Error())
				return
			}
			s.diary.add(exactly(s.id), v.String())
		}
	})
	ns.OnServerEvent("asked", func(ctx context.Context, args sio.Args) (any, error) {
		values, err := anyValues(args)
		if err != nil {
			return nil, err
		}
		if len(values) > 0 && values[0] == "not "+s.id {
			select {
			case <-s.released:
			case <-ctx.Done():
			}
			return nil, &sio.Error{Message: "it does not answer"}
		}
		return map[string]any{"server": s.id, "got": values}, nil
	})
}

// anyValues returns all values of args, in the notation of values_test.go.
func anyValues(args sio.Args) ([]any, error) {
	values, err := args.Values()
	for i := range values {
		values[i] = fromGo(values[i])
	}
	return values, err
}

func (s *goServer) name() string   { return s.id }
func (s *goServer) url() string    { return "http://" + s.addr }
func (s *goServer) official() bool { return false }

func (s *goServer) do(ctx context.Context, c command) (r result, err error) {
	ns := s.spaces[c.NS]
	args := make([]any, len(c.Args))
	for i, v := range c.Args {
		args[i] = forGo(v)
	}
	event := ""
	if len(args) > 0 {
		event, args = fmt.Sprint(args[0]), args[1:]
	}
	switch b := target(ns.Broadcast(), c); c.Op {
	case "emit":
		err = b.Emit(event, args...)
	case "emitFrom":
		err = target(ns.Socket(c.Socket).Broadcast(), c).Emit(event, args...)
	case "ask":
		r = collect(ctx, c, func(ctx context.Context) iter.Seq[sio.Ack[sio.Args]] {
			return sio.BroadcastWithAck[sio.Args](ctx, b, event, args...)
		})
	case "fetch":
		r, err = fetch(ctx, b)
	case "join":
		err = b.Join(c.Rooms...)
	case "leave":
		err = b.Leave(c.Rooms...)
	case "disconnect":
		err = disconnect(b, c.Close)
	case "remote":
		err = remote(ns.To(c.Socket), c, event, args)
	case "serverEmit":
		err = ns.ServerSideEmit(event, args...)
	case "serverAsk":
		r = collect(ctx, c, func(ctx context.Context) iter.Seq[sio.Ack[sio.Args]] {
			return sio.ServerSideEmitWithAck[sio.Args](ctx, ns, event, args...)
		})
	default:
		err = fmt.Errorf("unknown operation of a server: %s", c.Op)
	}
	return r, err
}

// remote does what a RemoteSocket of the official packages does.
func remote(b sio.Broadcast, c command, event string, args []any) error {
	switch c.Method {
	case "emit":
		return b.Emit(event, args...)
	case "join":
		return b.Join(c.Rooms...)
	case "leave":
		return b.Leave(c.Rooms...)
	default:
		return disconnect(b, c.Close)
	}
}

func disconnect(b sio.Broadcast, closing bool) error {
	if closing {
		return b.Close()
	}
	return b.Disconnect()
}

func target(b sio.Broadcast, c command) sio.Broadcast {
	b = b.To(names(c.To)...).Except(names(c.Except)...)
	if c.Volatile {
		b = b.Volatile()
	}
	if c.Missable {
		b = b.DropOldest(10).Latest("key")
	}
	if c.Compress != nil {
		b = b.Compress(*c.Compress)
	}
	if c.Local {
		b = b.Local()
	}
	return b
}

// names returns rooms as Go has them: also those that are numbers in JavaScript.
func names(rooms []any) []string {
	list := make([]string, len(rooms))
	for i, r := range rooms {
		list[i] = fmt.Sprint(r)
	}
	return list
}

// collect asks, and waits until there are enough answers.
func collect(ctx context.Context, c command, ask func(context.Context) iter.Seq[sio.Ack[sio.Args]]) (r result) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, milliseconds(c.Timeout))
		defer cancel()
	}
	for a := range ask(ctx) {
		if a.Err != nil {
			r.Missing++
			r.Failed = a.Err.Error()
			continue
		}
		values, err := anyValues(a.Value)
		if err != nil || len(values) == 0 {
			r.Failed = fmt.Sprintf("an answer of %d values (%v)", len(values), err)
			continue
		}
		r.Values = append(r.Values, values[0]) // that is all that official servers pass on
		if len(r.Values) == c.Enough {
			cancel()
		}
	}
	return r
}

func fetch(ctx context.Context, b sio.Broadcast) (r result, err error) {
	list, err := b.Fetch(ctx)
	for _, s := range list {
		info := socketInfo{ID: s.ID, Rooms: s.Rooms, Data: make(map[string]any)}
		for key, data := range s.Data {
			var v any
			if err := json.Unmarshal(data, &v); err != nil {
				return r, err
			}
			info.Data[key] = v
		}
		h := s.Handshake
		info.Handshake = map[string]any{
			"headers": map[string]any{"host": h.Host},
			"time":    h.Time.String(), "issued": float64(h.Time.UnixMilli()),
			"address": h.Address, "secure": h.Secure, "url": h.URL, "xdomain": false,
			"query": map[string]any{"EIO": h.Query.Get("EIO"), "transport": h.Query.Get("transport")},
		}
		var auth any
		if err := json.Unmarshal(h.Auth, &auth); err != nil {
			return r, err
		}
		info.Handshake["auth"] = auth
		r.Sockets = append(r.Sockets, info)
	}
	return r, err
}
