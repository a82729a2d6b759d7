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
	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/rescue"
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
	messages       map[Code]string // "" for all other codes; nil for the messages of this package
	log            *slog.Logger
}

// defaultWarn gives a client enough time to get a new token.
const defaultWarn = time.Minute

func newOptions(opts []Option) *options {
	o := &options{warn: defaultWarn, log: slog.Default()}
	for _, set := range opts {
		set(o)
	}
	o.log = rescue.Logger(o.log)
	return o
}

// WarnBefore sets how long before the end of a token the server sends [EventExpiring],
// a minute by default. 0 means never. If a token is valid for less than that, the event
// is sent after half of the time.
func WarnBefore(d time.Duration) Option {
	if d < 0 {
		misuse.Panic("auth: WarnBefore is negative: use 0 for no warning")
	}
	return func(o *options) { o.warn = d }
}

// AllowAnonymous lets clients connect without a token. A token that is not valid is still
// refused. See [SignedIn].
func AllowAnonymous() Option { return func(o *options) { o.anonymous = true } }

// SubjectOf sets a function that returns the subject of claims: the name or id of the
// user. Use it if your issuer does not put that into the claim sub:
//
//	auth.Require(verify, auth.SubjectOf(func(c *Claims) int { return c.UserID }))
//
// The subject has three uses. [Refresh] and the recovery of sessions check that it is
// still the same user, [RevokeSubject] finds the user's sockets, and ratelimit.PerUser
// limits by it. Subjects are compared as text: 7 is "7". The zero value, "" or 0, is no
// subject: see [Subject].
//
// If several issuers may use the same subjects, f has to add the issuer.
func SubjectOf[C any, S id](f func(claims *C) S) Option {
	if f == nil {
		misuse.Panic("auth: SubjectOf needs a function that returns the subject")
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

// An id identifies a user.
type id interface {
	~string | ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// text returns an id as text, "" for the zero value. It does not use a method String of
// the type.
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

// checkSubject panics if [SubjectOf] is for other claims than those of a guard. It
// reports whether claims of that type have a subject.
func checkSubject[C any](o *options, guard string) bool {
	if o.claims != nil && o.claims != reflect.TypeFor[C]() {
		misuse.Panic(fmt.Sprintf("auth: SubjectOf is for *%v, but %s is for %T", o.claims, guard, new(C)))
	}
	_, ok := any(new(C)).(interface{ GetSubject() (string, error) })
	return ok || o.subject != nil
}

// Message sets the message of the errors for clients that are refused with one of these
// codes, or with any code if there are none. It is err.message in the client:
//
//	auth.Require(verify, auth.Message("unauthorized"))
//
// The code stays in err.data.code. An [sio.Error] of yours keeps its message. Message also
// applies to [Refresh], and to [Scope] and the like.
func Message(message string, codes ...Code) Option {
	requireValues("Message", message)
	if len(codes) == 0 {
		codes = []Code{""}
	}
	return func(o *options) {
		if o.messages == nil {
			o.messages = make(map[Code]string)
		}
		for _, code := range codes {
			o.messages[code] = message
		}
	}
}

// Observe calls f for every decision, for metrics or an audit log. f is called on the
// goroutine that decides, so it must not block.
func Observe(f func(Event)) Option {
	if f == nil {
		misuse.Panic("auth: Observe got a nil function")
	}
	return func(o *options) { o.observe = f }
}

// Logger sets the logger for messages that do not belong to a packet, such as that a
// socket is disconnected because its token has expired, at Debug. The default is
// slog.Default(). Refusals are in the log of the server, also at Debug.
func Logger(l *slog.Logger) Option {
	if l == nil {
		misuse.Panic("auth: Logger got nil: leave it out for slog.Default()")
	}
	return func(o *options) { o.log = l }
}

// An Event is a decision, for [Observe].
type Event struct {
	Kind    Kind
	Socket  *sio.Socket
	Subject string // of the socket's token, "" if it is not known
	Name    string // of the event that was denied, or of the room that the socket has left
	Code    Code   // of a refusal; "" if it has none of ours
	Err     error  // the cause of a refusal
}

// A Kind is the kind of an [Event].
type Kind string

// The kinds of events.
const (
	Accepted  Kind = "accepted"  // connected, anonymous sockets included
	Refused   Kind = "refused"   // at connect, or the new token of a refresh
	Denied    Kind = "denied"    // an event, by Scope and the like
	Refreshed Kind = "refreshed" // see Refresh
	Expired   Kind = "expired"   // disconnected at the end of the token
	Left      Kind = "left"      // taken out of a room: see NewRooms
)

func (o *options) notify(e Event) {
	if o == nil || o.observe == nil { // nil for what another server has saved
		return
	}
	err := rescue.Apart(func() error { // some events have a goroutine of their own
		o.observe(e)
		return nil
	})
	if err != nil {
		o.log.Error("function of auth.Observe failed", slog.String("panic", err.Error()), slog.String("stack", string(rescue.StackOf(err))))
	}
}

// notifyRefused is for a connect, and for the new token of a refresh.
func (o *options) notifyRefused(c *sio.Ctx, err error) {
	o.notify(Event{Kind: Refused, Socket: c.Socket, Subject: Subject(c.Socket), Code: codeOf(err), Err: err})
	reportRefusal(c, err)
}

// reportRefusal tells the observers of the server. An error that is not one of ours is
// the application's, which says itself what it is.
func reportRefusal(c *sio.Ctx, err error) {
	if code := codeOf(err); code != "" {
		c.ReportRefusal(sio.GuardError{Guard: "auth", Code: string(code), Err: err})
	}
}

// notifyDenied is for an event, or for a connect, that was refused by a requirement.
func (o *options) notifyDenied(c *sio.Ctx, subject string, err error) {
	e := Event{Kind: Denied, Socket: c.Socket, Subject: subject, Name: c.Event(), Code: codeOf(err), Err: err}
	if e.Name == connectEvent {
		e.Kind, e.Name = Refused, ""
	}
	o.notify(e)
	reportRefusal(c, err)
}

// connectEvent is the name of the event in the connect chain.
const connectEvent = "connect"

// Require returns middleware for [sio.Namespace.UseConnect] that refuses a client unless
// verify accepts its token. In handlers, [Claims] returns the claims. The socket is
// disconnected when the token expires.
//
// A namespace has one Require or From. Use [AnyOf] for tokens of different kinds. If a
// client recovers its session ([sio.Recovery]), its token is verified again before it
// gets the missed events. The token has to be of the same subject and issuer. Without a
// subject, the client gets a fresh socket.
func Require[C any](verify Verifier[C], opts ...Option) sio.Middleware {
	if verify == nil {
		misuse.Panic("auth: Require needs a verifier, such as HS256")
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

// From is like [Require] for clients that the middleware of your framework has
// authenticated. f returns the claims that the middleware has stored for the request that
// opened the connection: use [As] to make them. f may be called more than once for a
// socket. If it returns nil and no error, the client is anonymous.
//
//	chat.UseConnect(auth.From(func(s *sio.Socket) (*User, error) {
//		return auth.As[User](siogin.Context(s).Value("user"))
//	}))
//
// A *C may have the methods GetSubject and GetExpirationTime of the JWT library's
// Claims. Then the socket can be revoked by its subject and is disconnected at that time,
// and only the same subject can recover its session. If a *C has no GetSubject, use
// [SubjectOf]. Without a subject, sessions cannot be recovered or revoked. From logs that
// when it is called.
//
// A pointer to a zero value means an anonymous client, as in [As].
func From[C any](f func(s *sio.Socket) (*C, error), opts ...Option) sio.Middleware {
	if f == nil {
		misuse.Panic("auth: From needs a function")
	}
	o := newOptions(opts)
	if !checkSubject[C](o, "From") {
		o.log.Warn("users of auth.From have no subject: sessions cannot be recovered or revoked, and limits by user use "+
			"the address: add auth.SubjectOf", slog.String("type", fmt.Sprintf("%T", new(C))))
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

// verified verifies a token and returns its principal.
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

// A guard is the middleware of Require and From.
type guard struct {
	opts         *options
	authenticate func(c *sio.Ctx) (principal, error) // the zero principal for an anonymous client
}

var errNotConnect = errors.New("auth: Require and From are for UseConnect: see SignedIn for events")

func (g *guard) middleware(next sio.Handler) sio.Handler {
	return func(c *sio.Ctx) error {
		if c.Event() != connectEvent {
			return errNotConnect
		}
		c.OnRecover(g.admit) // recovered sessions skip the connect chain
		if err := g.admit(c); err != nil {
			return err
		}
		c.OnAccept(g.accept)
		return next(c)
	}
}

// admit authenticates a client and stores its session on the socket.
func (g *guard) admit(c *sio.Ctx) error {
	b, err := g.identify(c)
	if errors.Is(err, sio.ErrNotRecovered) {
		return err
	}
	if err = g.opts.refuse(err); err != nil {
		g.opts.notifyRefused(c, err)
		return err
	}
	sessionKey.Set(c.Socket, newSession(c.Socket, b, g.opts))
	return nil
}

// identify returns the principal of a client that may connect.
func (g *guard) identify(c *sio.Ctx) (principal, error) {
	b, err := g.authenticate(c)
	switch {
	case err != nil:
		return b, err
	case b.claims == nil && !g.opts.anonymous:
		return b, ErrMissing
	case b.expired(): // the verifier is not one of ours
		return b, ErrExpired
	}
	if old := sessionOf(c.Socket); c.Recovered() && old != nil && !old.mayBecome(&b) {
		if old.identity().Subject == "" || b.subject == "" { // the two cannot be compared
			return b, fmt.Errorf("%w: there is no subject to know its user by", sio.ErrNotRecovered)
		}
		return b, errOtherSubject
	}
	if b.claims == nil {
		return b, nil
	}
	return b, g.opts.checkRevoked(c.Context(), b.claims)
}

// accept runs when the connect chain has accepted the client.
func (g *guard) accept(c *sio.Ctx) error {
	s := sessionOf(c.Socket)
	if err := g.opts.refuse(s.start(c)); err != nil {
		g.opts.notifyRefused(c, err)
		return err
	}
	g.opts.notify(Event{Kind: Accepted, Socket: c.Socket, Subject: s.subject()})
	return nil
}
