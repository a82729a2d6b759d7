package sioadmin

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/rescue"
)

// An Admin is the part of a server that speaks with the Admin UI.
type Admin struct {
	srv   *sio.Server
	ns    *sio.Namespace
	opts  Options
	log   *slog.Logger
	door  *door
	count *counters
	feed  *feed // nil in Production

	clustered bool

	present atomic.Int64 // administrators who are connected to this server
	stop    chan struct{}
	stopped sync.Once
}

// Instrument makes srv serve the Admin UI, in a namespace of its own. Call it before clients
// connect, once for each server. It ends with [sio.Server.Shutdown]. The error says which
// option is missing or wrong.
//
// In a cluster, instrument each server with the same credentials, mode and
// [Options.SessionKey]. Each page then shows all servers.
func Instrument(srv *sio.Server, opts Options) (*Admin, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &Admin{
		srv: srv, opts: opts, log: rescue.Logger(srv.Options().Logger), clustered: srv.Options().Adapter != nil,
		door: newDoor(&opts), count: newCounters(srv), stop: make(chan struct{}),
	}
	if opts.Mode == Development {
		a.feed = newFeed(a)
	}
	if err := a.open(); err != nil {
		return nil, err
	}
	srv.AddObserver(a.observer())
	if a.feed != nil {
		for _, n := range srv.Namespaces() {
			a.feed.watch(n)
		}
	}
	go a.run() // ends when Shutdown begins
	return a, nil
}

// open makes the namespace. Its handlers are registered before the first client can enter.
func (a *Admin) open() error {
	name := a.opts.Namespace
	if a.namespace(name) != nil {
		return fmt.Errorf("sioadmin: namespace %s exists already: set Options.Namespace, and call Instrument once for each server", name)
	}
	var made atomic.Bool
	a.srv.OnNewNamespace(func(n *sio.Namespace) {
		if n.Name() == name && n.Parent() == nil {
			a.register(n)
			made.Store(true)
		}
		if a.feed != nil {
			a.feed.watch(n)
		}
	})
	if a.feed != nil {
		a.srv.OnNamespaceEnd(a.feed.forget)
	}
	a.ns = a.srv.Of(name)
	switch {
	case a.ns.Parent() != nil:
		return fmt.Errorf("sioadmin: namespace %s is one of a pattern of the application: set Options.Namespace", name)
	case !made.Load():
		return fmt.Errorf("sioadmin: namespace %s exists already: set Options.Namespace, and call Instrument once for each server", name)
	}
	return nil
}

func (a *Admin) register(n *sio.Namespace) {
	n.UseConnect(a.door.signIn)
	n.OnConnect(a.connected)
	if !a.opts.ReadOnly {
		n.On("emit", a.emit)
		n.On("join", a.join)
		n.On("leave", a.leave)
		n.On("_disconnect", a.disconnect)
	}
}

// observer counts connections, and tells the feed of sockets.
func (a *Admin) observer() *sio.Observer {
	o := &sio.Observer{
		ShutdownStarted: func(*sio.Server) { a.stopped.Do(func() { close(a.stop) }) },
		SessionOpened:   func(sio.SessionInfo) { a.count.opened() },
		SessionClosed:   func(i sio.SessionClosedInfo) { a.count.closed(string(i.Reason)) },
	}
	if a.feed != nil {
		o.SocketConnected = a.feed.socketConnected
		o.SocketDisconnected = a.feed.socketDisconnected
		o.SocketDataSet = a.feed.dataSet
		o.SessionUpgraded = a.feed.sessionUpgraded
	}
	return o
}

// connected tells an administrator what the server supports.
func (a *Admin) connected(c *sio.Ctx) error {
	a.present.Add(1)
	if !c.OnEnd(func() { a.present.Add(-1) }) {
		a.present.Add(-1)
	}
	if err := c.Emit("config", map[string][]string{"supportedFeatures": a.features()}); err != nil {
		return err
	}
	if err := c.Emit("server_stats", a.stats(nil)); err != nil { // do not wait for the next time
		return err
	}
	if a.feed != nil {
		a.feed.requestSync(c.Socket)
	}
	return nil
}

func (a *Admin) features() []string {
	var all []string
	if !a.opts.ReadOnly {
		all = append(all, "EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT")
	}
	all = append(all, "AGGREGATED_EVENTS")
	if a.opts.Mode == Development {
		all = append(all, "ALL_EVENTS")
	}
	return all
}

// watched reports whether there may be an administrator, on this server or another one.
func (a *Admin) watched() bool { return a.present.Load() > 0 || a.clustered }

// namespace returns the namespace of that name, nil if there is none. Unlike
// [sio.Server.Of], it makes none.
func (a *Admin) namespace(name string) *sio.Namespace {
	all := a.srv.Namespaces()
	i, found := slices.BinarySearchFunc(all, name, func(n *sio.Namespace, name string) int {
		switch {
		case n.Name() < name:
			return -1
		case n.Name() > name:
			return 1
		default:
			return 0
		}
	})
	if !found {
		return nil
	}
	return all[i]
}

// statsInterval is what the official server has. The UI takes a server for unhealthy after
// ten seconds of silence.
const statsInterval = 2 * time.Second

// maxStats is how many of a server's stats may wait for an administrator who reads slowly.
const maxStats = 10

// run sends everything that goes to all administrators.
func (a *Admin) run() {
	ticker := time.NewTicker(statsInterval)
	defer ticker.Stop()
	var wake <-chan struct{}
	var synced <-chan snapshot
	if a.feed != nil {
		wake, synced = a.feed.wake, a.feed.synced
	}
	for {
		select {
		case <-a.stop:
			return
		case <-ticker.C:
			a.broadcast("server_stats", maxStats, a.stats(a.count.take()))
			if a.feed != nil {
				a.feed.tick()
			}
		case <-wake:
			a.feed.flush()
		case s := <-synced:
			a.feed.deliver(s)
		}
	}
}

// broadcast sends an event to all administrators of the cluster. Of events of this name at
// most maxWaiting wait for one who reads slowly; 0 means all.
func (a *Admin) broadcast(event string, maxWaiting int, args ...any) {
	if err := a.ns.Broadcast().DropOldest(maxWaiting).Emit(event, args...); err != nil {
		a.log.Debug("telling the Admin UI failed", slog.String("event", event), slog.Any("err", err))
	}
}
