package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// An Option changes what [Require] and [From] do, and [Refresh] behind them.
type Option func(o *options)

type options struct {
	sources        []source
	subject        func(claims any) string // nil for the claims' own method
	subjectWarning sync.Once               // that there is none
	claims         reflect.Type            // that subject is for
	anonymous      bool
	warn           time.Duration
	revoked        func(context.Context, Token) (bool, error)
	observe        func(Event)
	log            *slog.Logger
}

// defaultWarn is ample for a client to get a new token.
const defaultWarn = time.Minute

func newOptions(opts []Option) *options {
	o := &options{warn: defaultWarn, log: slog.Default()}
	for _, set := range opts {
		set(o)
	}
	return o
}

// WarnBefore is how long before the end of its token a socket is sent
// [EventExpiring], a minute by default; 0 means never. A socket whose token is
// good for less is warned at half of that.
func WarnBefore(d time.Duration) Option {
	if d < 0 {
		misuse("WarnBefore is negative: use 0 for no warning")
	}
	return func(o *options) { o.warn = d }
}

// AllowAnonymous also lets clients in that send no token. A token that is no good
// is refused nevertheless. See [SignedIn].
func AllowAnonymous() Option { return func(o *options) { o.anonymous = true } }

// SubjectOf has f tell the subject of claims: the name or id of the user. It is for
// issuers that do not put it into the claim sub:
//
//	auth.Require(verify, auth.SubjectOf(func(c *Claims) int { return c.UserID }))
//
// By the subject, [Refresh] and the recovery of sessions know that it is still the same
// user, [RevokeSubject] finds the user's sockets, and ratelimit.PerUser counts. These
// compare text: 7 is "7". The zero value, "" or 0, is no subject: see [Subject].
//
// If there are several issuers, whose subjects may be equal, have f put both together.
func SubjectOf[C any, S id](f func(claims *C) S) Option {
	if f == nil {
		misuse("SubjectOf needs a function that returns the subject")
	}
	return func(o *options) {
		o.claims = reflect.TypeFor[C]()
		o.subject = func(claims any) string {
			c, _ := claims.(*C)
			if c == nil {
				return ""
			}
			return text(reflect.ValueOf(f(c)))
		}
	}
}

// An id is what users are told apart by.
type id interface {
	~string | ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// text returns an id as text, "" for the zero value. An id may have a method String that
// is for people.
func text(id reflect.Value) string {
	switch {
	case id.IsZero():
		return ""
	case id.CanInt():
		return strconv.FormatInt(id.Int(), 10)
	case id.CanUint():
		return strconv.FormatUint(id.Uint(), 10)
	default:
		return id.String()
	}
}

// checkSubject panics if [SubjectOf] is for other claims than those of a guard. It says
// whether claims of that type can tell a subject at all.
func checkSubject[C any](o *options, guard string) bool {
	if o.claims != nil && o.claims != reflect.TypeFor[C]() {
		misuse(fmt.Sprintf("SubjectOf is for *%v, but %s is for %T", o.claims, guard, new(C)))
	}
	_, ok := any(new(C)).(interface{ GetSubject() (string, error) })
	return ok || o.subject != nil
}

// Observe has f told of every decision, for metrics or an audit log. It is called
// where the decision is made, so it must not wait.
func Observe(f func(Event)) Option {
	if f == nil {
		misuse("Observe got a nil function")
	}
	return func(o *options) { o.observe = f }
}

// Logger has what is not an answer to a packet logged to l: that sockets are
// disconnected because their token has expired, at Debug. The default is
// slog.Default(). Refusals are in the log of the server, also at Debug.
func Logger(l *slog.Logger) Option {
	if l == nil {
		misuse("Logger got nil: leave it out for slog.Default()")
	}
	return func(o *options) { o.log = l }
}

// An Event is what [Observe] is told.
type Event struct {
	Kind    Kind
	Socket  *sio.Socket
	Subject string // of the socket's token, "" if it is not known
	Name    string // of the event that was denied
	Code    Code   // of a refusal; "" if it has none of ours
	Err     error  // the cause of a refusal
}

// A Kind tells what an [Event] is about.
type Kind string

// The kinds of events.
const (
	Accepted  Kind = "accepted"  // connected, anonymous sockets included
	Refused   Kind = "refused"   // at connect, or the new token of a refresh
	Denied    Kind = "denied"    // an event, by Scope and the like
	Refreshed Kind = "refreshed" // see Refresh
	Expired   Kind = "expired"   // disconnected at the end of the token
)

func (o *options) notify(e Event) {
	if o == nil || o.observe == nil { // nil for what another server has saved
		return
	}
	if failed := apart(func() { o.observe(e) }); failed != nil { // some events have a goroutine of their own
		apart(func() {
			o.log.Error("function of auth.Observe failed", slog.String("panic", failed.text), slog.String("stack", string(failed.stack)))
		})
	}
}

func (o *options) notifyRefused(s *sio.Socket, err error) {
	o.notify(Event{Kind: Refused, Socket: s, Subject: Subject(s), Code: codeOf(err), Err: err})
}

// tellDenied is for an event, or for a connect that was refused by a demand.
func (o *options) notifyDenied(c *sio.Ctx, subject string, err error) {
	e := Event{Kind: Denied, Socket: c.Socket, Subject: subject, Name: c.Event(), Code: codeOf(err), Err: err}
	if e.Name == connectEvent {
		e.Kind, e.Name = Refused, ""
	}
	o.notify(e)
}

// connectEvent is the name of the event in the connect chain.
const connectEvent = "connect"

// Require returns middleware for [sio.Namespace.UseConnect] that accepts only
// clients with a token that verify accepts. Afterwards [Claims] has its claims,
// and the socket is disconnected when the token expires.
//
// A namespace has one Require or From; [AnyOf] is for tokens of different kinds.
// A client that recovers its session ([sio.Recovery]) is asked for its token
// again, before it gets what it missed. That has to be a token for the same
// subject, of the same issuer. Without a subject the client gets a fresh socket.
func Require[C any](verify Verifier[C], opts ...Option) sio.Middleware {
	if verify == nil {
		misuse("Require needs a verifier, such as HS256")
	}
	o := newOptions(opts)
	checkSubject[C](o, "Require")
	g := &guard{opts: o, authenticate: func(c *sio.Ctx) (principal, error) {
		token, err := o.token(c)
		if err != nil || token == "" {
			return principal{}, err
		}
		return verified(c, o, verify, token)
	}}
	return g.middleware
}

// From is like [Require] for clients that somebody else has authenticated: f
// returns what the framework's own middleware left about the request that opened
// the connection. [As] makes claims of it. It may be called more than once for a
// socket. Nil without an error means that there is nobody.
//
//	chat.UseConnect(auth.From(func(s *sio.Socket) (*User, error) {
//		return auth.As[User](siogin.Context(s).Value("user"))
//	}))
//
// If a *C has the methods GetSubject and GetExpirationTime of the JWT library's
// Claims, the socket can be revoked by its subject, and ends when that says; and
// whoever recovers its session has to have the same subject. For a *C without
// GetSubject, use [SubjectOf]. Without a subject, sessions are not recovered and
// cannot be revoked, which From logs when it is called.
//
// A *C to a zero value is nobody, as in [As].
func From[C any](f func(s *sio.Socket) (*C, error), opts ...Option) sio.Middleware {
	if f == nil {
		misuse("From needs a function")
	}
	o := newOptions(opts)
	if !checkSubject[C](o, "From") {
		o.log.Warn("users of auth.From have no subject: sessions cannot be recovered or revoked, and limits by user go by "+
			"address: add auth.SubjectOf", slog.String("type", fmt.Sprintf("%T", new(C))))
	}
	g := &guard{opts: o, authenticate: func(c *sio.Ctx) (principal, error) {
		claims, err := f(c.Socket)
		if err != nil || nilIfEmpty(claims) == nil {
			return principal{}, err
		}
		return newPrincipal(claims, o.describePrincipal(claims), 0), nil
	}}
	return g.middleware
}

// verified returns the bearer of a token.
func verified[C any](c *sio.Ctx, o *options, verify Verifier[C], token string) (principal, error) {
	ctx, leeway := withLeeway(c.Context())
	claims, err := verify(ctx, token)
	switch {
	case err != nil:
		return principal{}, err
	case claims == nil:
		return principal{}, errors.New("auth: verifier returned neither claims nor an error")
	}
	return newPrincipal(claims, o.describePrincipal(claims), *leeway), nil
}

// A guard decides who may enter.
type guard struct {
	opts         *options
	authenticate func(c *sio.Ctx) (principal, error) // nobody if the client says nothing about itself
}

var errNotConnect = errors.New("auth: Require and From are for UseConnect: see SignedIn for events")

func (g *guard) middleware(next sio.Handler) sio.Handler {
	return func(c *sio.Ctx) error {
		if c.Event() != connectEvent {
			return errNotConnect
		}
		c.OnRecover(g.admit) // or who has recovered a session would not be asked
		if err := g.admit(c); err != nil {
			return err
		}
		c.OnAccept(g.accept)
		return next(c)
	}
}

// admit finds out who connects and keeps that on the socket.
func (g *guard) admit(c *sio.Ctx) error {
	b, err := g.identify(c)
	if errors.Is(err, sio.ErrNotRecovered) {
		return err
	}
	if err = refuse(err); err != nil {
		g.opts.notifyRefused(c.Socket, err)
		return err
	}
	sessionKey.Set(c.Socket, newSession(c.Socket, b, g.opts))
	return nil
}

// identify returns who connects, nobody if that is allowed.
func (g *guard) identify(c *sio.Ctx) (principal, error) {
	b, err := g.authenticate(c)
	switch {
	case err != nil:
		return b, err
	case b.claims == nil && !g.opts.anonymous:
		return b, ErrMissing
	case b.expired(): // it is not our verifier that let it pass
		return b, ErrExpired
	}
	if old := sessionOf(c.Socket); c.Recovered() && old != nil && !old.mayBecome(&b) {
		if old.identity().Subject == "" || b.subject == "" { // nobody can tell whether they are the same
			return b, fmt.Errorf("%w: there is no subject to know its user by", sio.ErrNotRecovered)
		}
		return b, errOtherSubject
	}
	if b.claims == nil {
		return b, nil
	}
	return b, g.opts.checkRevoked(c.Context(), b.claims)
}

// enter runs when the client has been accepted.
func (g *guard) accept(c *sio.Ctx) error {
	s := sessionOf(c.Socket)
	if err := refuse(s.start(c)); err != nil {
		g.opts.notifyRefused(c.Socket, err)
		return err
	}
	g.opts.notify(Event{Kind: Accepted, Socket: c.Socket, Subject: s.subject()})
	return nil
}
