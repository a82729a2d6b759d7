package users

import (
	"cmp"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/own"
	"github.com/sioplug/sioplug/internal/rescue"
)

// Options are the settings of [Users]. A zero value means the default.
type Options struct {
	// OnOnline is called with the id of a user whose first socket has connected, on any
	// server of the cluster. OnOffline is called when the user has had no socket for the
	// time Grace. One server of the cluster makes the call: see EveryServer.
	//
	// Calls are made one at a time, on a goroutine of their own. They may wait. If they
	// are slow, changes that undo each other meanwhile are left out: a user who goes and
	// comes back. A panic is logged.
	OnOnline, OnOffline func(id string)

	// EveryServer has each server of the cluster call OnOnline and OnOffline for all
	// users, and not one of them. Use it for functions that tell a server's own clients
	// ([sio.Broadcast.Local]), or that keep a table in its memory.
	EveryServer bool

	// Grace is how long a user stays online without a socket, 5 seconds by default. A
	// negative value means no time. A client that has lost its connection comes back
	// within 5 seconds in most cases. It does not matter whether it recovers its session
	// ([sio.Options.ConnectionStateRecovery]).
	Grace time.Duration

	// MaxUsers is how many users are known, 1,000,000 by default. Beyond that, users of
	// other servers are left out, and the log says so at Error, at most once a minute.
	// Users who have a socket of this server are always known.
	MaxUsers int

	// Logger is slog.Default() by default.
	Logger *slog.Logger
}

// MaxID is the size of an id in bytes. A client whose id is longer is refused.
const MaxID = 1024

const (
	defaultGrace    = 5 * time.Second
	defaultMaxUsers = 1_000_000

	// roomPrefix begins the name of the room that has all sockets of a user.
	roomPrefix = own.RoomOfUser
)

// Users knows the users of a namespace. Make it with [New]. All methods are safe for
// concurrent use, and none waits for other servers.
type Users struct {
	table
	peers

	ns      *sio.Namespace
	id      func(*sio.Socket) string
	opts    Options
	log     *slog.Logger
	sockets *sio.Key[*socket]
}

// New makes the users of a namespace known. Call it once for a namespace, before clients
// connect, and after [sio.Namespace.UseConnect] with the middleware that authenticates
// them. id returns the id of a socket's user, such as auth.Subject. It is called when a
// client was accepted, and when it signs in later (auth.Refresh). opts may be nil.
//
// A socket for which id returns "" or only blanks belongs to nobody: it can connect, and
// it is no user's. A client whose id has more than [MaxID] bytes, or is not valid UTF-8, is
// disconnected after the event that [EventRefused] names.
//
// New is not for the parents of dynamic namespaces ([sio.Server.OfFunc]).
func New(ns *sio.Namespace, id func(s *sio.Socket) string, opts *Options) *Users {
	var o Options
	if opts != nil {
		o = *opts
	}
	switch {
	case ns == nil || id == nil:
		misuse.Panic("users: New needs a namespace, and a function that tells the user of a socket, such as auth.Subject")
	case ns.OwnParent():
		misuse.Panic(fmt.Sprintf("users: New is not for %s, which has no clients of its own: use a namespace of Server.Of", ns.Name()))
	case o.MaxUsers < 0:
		misuse.Panic("users: Options.MaxUsers is negative: leave it 0 for the default")
	}
	o.MaxUsers = cmp.Or(o.MaxUsers, defaultMaxUsers)
	o.Grace = max(cmp.Or(o.Grace, defaultGrace), 0)
	u := &Users{ns: ns, id: id, opts: o, log: rescue.Logger(cmp.Or(o.Logger, slog.Default())), sockets: sio.NewKey[*socket]("users")}
	u.table.init()
	u.peers.init()
	ns.OnOwnServerEvent(own.Users, u.onMessage) // also without a cluster: it panics the second time
	ns.UseConnect(u.middleware)
	if ns.Clustered() {
		u.join()
	}
	return u
}

// A User is all sockets of one user, on all servers. It is a [sio.Broadcast], so it can be
// emitted to, counted, disconnected, and put into rooms:
//
//	err := people.User("ann").Emit("mail", "you have mail")
//	n, err := people.User("ann").Count(ctx) // how many sockets
//	for a := range sio.BroadcastWithAck[string](ctx, people.User("ann").Broadcast, "ready?") { ... }
type User struct {
	sio.Broadcast

	id    string
	users *Users
}

// User returns the user with that id, who may not be online. The user "" is nobody: the
// set is empty.
func (u *Users) User(id string) User {
	sockets := u.ns.To(roomPrefix + id)
	if isNobody(id) {
		sockets = sockets.Except(roomPrefix + id)
	}
	return User{sockets, id, u}
}

// ID returns the user's id.
func (u User) ID() string { return u.id }

// Online reports whether the user is online: see [Users.Online].
func (u User) Online() bool { return u.users.Online(u.id) }

// Online reports whether the user has a socket on any server of the cluster, or had one
// within the grace time. It does not ask other servers, so it is up to date but for the
// time that a message takes. To be certain, use [sio.Broadcast.Exists] of the [User].
func (u *Users) Online(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	e := u.entries[id]
	return e != nil && e.online()
}

// Len returns the number of users who are online.
func (u *Users) Len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.onlineCount
}

// All returns the ids of the users who are online, in no particular order.
func (u *Users) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		u.mu.Lock()
		all := slices.Collect(maps.Keys(u.entries))
		u.mu.Unlock()
		for _, id := range all {
			if u.Online(id) && !yield(id) {
				return
			}
		}
	}
}
