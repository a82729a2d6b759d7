package auth

import (
	"context"
	"errors"
	"strings"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/misuse"
)

// Revoked sets a function that reports whether a token has been revoked. Usually f looks
// for its id or its subject in a list that all servers share. f is called before a client
// connects and before its token is refreshed. It is called once more when
// [RevokeSubject] and [RevokeToken] can find the socket. So a token that is revoked at
// the same moment is not missed: add it to the list first, then call these.
//
// If f returns an error, the token is refused. If that is not an error of this package,
// it is an internal error of the server.
func Revoked(f func(ctx context.Context, t Token) (bool, error)) Option {
	if f == nil {
		misuse.Panic("auth: Revoked got a nil function")
	}
	return func(o *options) { o.revoked = f }
}

// checkRevoked returns an error if the claims are those of a revoked token.
func (o *options) checkRevoked(ctx context.Context, claims any) error {
	if o.revoked == nil {
		return nil
	}
	revoked, err := o.revoked(ctx, o.describe(claims))
	if err == nil && revoked {
		err = ErrRevoked
	}
	return err
}

// RevokeSubject disconnects all sockets of a namespace with this subject (the claim sub),
// on all servers of the cluster. Before that, it sends them [EventRevoked]. They can
// connect again unless [Revoked] refuses their tokens. RevokeSubject finds the sockets by
// rooms that they cannot leave: see [sio.Socket.Pin]. Clients that have lost their
// connection do not recover their session. For the subject "", it does nothing.
//
// The names of these rooms begin with "auth:sub:" and "auth:jti:". A socket that joins
// such a room by its name gets no rights by that: it keeps its own claims and subject.
// But RevokeSubject and [RevokeToken] disconnect it as well. So if clients name the rooms
// that they join, check the names ([Join]), or put a prefix of your own before them.
//
// On a parent ([sio.Server.OfFunc]), it finds the sockets of all children, also of those that
// exist only on other servers. For that, servers make their parents in the same order.
//
// If it returns an error, not all servers could be reached. The sockets of this server
// are disconnected nevertheless. Call it again for the other servers.
func RevokeSubject(ns *sio.Namespace, subject string) error {
	if strings.TrimSpace(subject) == "" {
		return nil
	}
	return revoke(ns, subjectRoom(subject))
}

// RevokeToken is like [RevokeSubject] for sockets whose token has this id (the claim
// jti). For the id "", it does nothing.
func RevokeToken(ns *sio.Namespace, id string) error {
	if id == "" {
		return nil
	}
	return revoke(ns, tokenRoom(id))
}

// revoke disconnects this server's sockets first, so that an error of the cluster does not
// keep them connected.
func revoke(ns *sio.Namespace, room string) error {
	all := ns.To(room)
	here := all.Local()
	err := errors.Join(
		here.Emit(EventRevoked, refusal{CodeRevoked}), here.Disconnect(),
		all.Emit(EventRevoked, refusal{CodeRevoked}), all.Disconnect(),
	)
	if ns.OwnParent() { // all has the children that exist here
		err = errors.Join(err, ns.OwnEnd(room, EventRevoked, refusal{CodeRevoked}))
	}
	return err
}
