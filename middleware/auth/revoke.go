package auth

import (
	"context"
	"errors"
	"strings"

	sio "github.com/sioplug/sioplug/core"
)

// Revoked has f say whether a token has been revoked: usually, whether its id or
// its subject is in a list that all servers share. It is asked before a client is
// let in, before its token is refreshed, and once more when the socket can be
// found by [RevokeSubject] and [RevokeToken], so that a token that is revoked in
// the same moment is not missed. Add to the list first, then call these.
//
// An error of f refuses the token; unless it is one of this package, it is one of
// the server.
func Revoked(f func(ctx context.Context, t Token) (bool, error)) Option {
	if f == nil {
		misuse("Revoked got a nil function")
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

// RevokeSubject disconnects all sockets of a namespace, on all servers of its
// cluster, that connected as this subject (the claim sub), after telling them by
// [EventRevoked]. It does not keep them from coming back: see [Revoked]. They are
// found by rooms that they cannot leave ([sio.Socket.Pin]), whatever handlers let
// clients do. Clients that have lost their connection do not recover their session.
// With the subject "", which is nobody's, it does nothing.
//
// An error means that not all servers could be told. This one's sockets are
// disconnected nevertheless; try again for those of the others.
func RevokeSubject(ns *sio.Namespace, subject string) error {
	if strings.TrimSpace(subject) == "" {
		return nil
	}
	return revoke(ns, subjectRoom(subject))
}

// RevokeToken is like [RevokeSubject] for the sockets that connected with the
// token of this id (the claim jti), or were refreshed by it. With the id "" it does
// nothing.
func RevokeToken(ns *sio.Namespace, id string) error {
	if id == "" {
		return nil
	}
	return revoke(ns, tokenRoom(id))
}

// revoke disconnects this server's sockets first, so that nothing which keeps the other
// servers from being told keeps these connected.
func revoke(ns *sio.Namespace, room string) error {
	all := ns.To(room)
	here := all.Local()
	return errors.Join(
		here.Emit(EventRevoked, refusal{CodeRevoked}), here.Disconnect(),
		all.Emit(EventRevoked, refusal{CodeRevoked}), all.Disconnect(),
	)
}
