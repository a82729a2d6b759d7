package sioadmin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// An attempt to sign in costs the time of a hash. So attempts are limited for each
// address, and for all of them together. Hashes are made one at a time.
const (
	maxAddresses = 10_000 // buckets that are kept
	hashWait     = 5 * time.Second

	allAddresses = "all"

	ipv6Network = 64 // what one customer usually has
)

func perAddress() ratelimit.Rate { return ratelimit.Rate{N: 1, Per: 10 * time.Second, Burst: 5} }
func together() ratelimit.Rate   { return ratelimit.Rate{N: 2, Per: time.Second, Burst: 20} }

// Codes of refused sign-ins, for [sio.GuardRefusedInfo].
const (
	codeCredentials = "invalid_credentials" //nolint:gosec // it is none
	codeSession     = "invalid_session"
	codeTooMany     = "too_many_attempts"
)

// A door lets administrators in.
type door struct {
	opts     *Options
	sessions sessionSigner
	attempts *ratelimit.Memory
	hashing  chan struct{} // has room for the one hash that is being made
}

func newDoor(o *Options) *door {
	return &door{opts: o, sessions: newSessionSigner(o), attempts: ratelimit.NewMemory(maxAddresses), hashing: make(chan struct{}, 1)}
}

// signIn is middleware of UseConnect.
func (d *door) signIn(next sio.Handler) sio.Handler {
	return func(c *sio.Ctx) error {
		c.OnRecover(func(*sio.Ctx) error { return sio.ErrNotRecovered }) // who comes back signs in again
		session, err := d.admit(c)
		if err != nil {
			return err
		}
		if session != "" { // behind the answer to CONNECT: before, the UI does not listen
			c.OnAccept(func(c *sio.Ctx) error { return c.Emit("session", session) })
		}
		return next(c)
	}
}

// credentials are the auth payload of the UI. Their types are the client's choice.
type credentials struct {
	SessionID any `json:"sessionId"`
	Username  any `json:"username"`
	Password  any `json:"password"`
}

// admit returns an error for a client that may not enter, and a new session for one that
// has signed in by its password.
func (d *door) admit(c *sio.Ctx) (session string, err error) {
	if d.opts.NoAuth {
		return "", nil
	}
	var in credentials
	if c.Bind(&in) != nil {
		in = credentials{}
	}
	id, _ := in.SessionID.(string)
	username, named := in.Username.(string)
	password, _ := in.Password.(string) // anything else is as wrong as an empty one
	switch {
	case id != "":
		if d.sessions.valid(id) {
			return "", nil
		}
		return "", refuse(c, codeSession, 0)
	case !named: // the page was loaded without a session
		return "", refuse(c, codeCredentials, 0)
	}
	if wait := d.mayTry(c.Context(), c.Address()); wait > 0 {
		return "", refuse(c, codeTooMany, wait)
	}
	ok, err := d.check(c.Context(), username, password)
	switch {
	case err != nil:
		return "", refuse(c, codeTooMany, hashWait)
	case !ok:
		return "", refuse(c, codeCredentials, 0)
	}
	return d.sessions.newSession(), nil
}

// mayTry counts an attempt, and returns 0 if it is not one too many.
func (d *door) mayTry(ctx context.Context, address string) (wait time.Duration) {
	if v, _ := d.attempts.Take(ctx, "a:"+addressKey(address), perAddress(), 1, 0); !v.OK { // a Memory does not fail
		return v.Wait
	}
	if v, _ := d.attempts.Take(ctx, allAddresses, together(), 1, 0); !v.OK {
		return v.Wait
	}
	return 0
}

// check compares the credentials. It takes as long for a name that is wrong. An error
// means that too many others are being checked.
func (d *door) check(ctx context.Context, username, password string) (ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	select {
	case d.hashing <- struct{}{}:
		defer func() { <-d.hashing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	got, want := sha256.Sum256([]byte(username)), sha256.Sum256([]byte(d.opts.Username))
	named := subtle.ConstantTimeCompare(got[:], want[:]) == 1
	matches := bcrypt.CompareHashAndPassword([]byte(d.opts.PasswordHash), []byte(password)) == nil
	return named && matches, nil
}

// refuse tells observers, and returns the error for the client. The UI asks for the
// password again if the text is "invalid credentials".
func refuse(c *sio.Ctx, code string, wait time.Duration) error {
	c.ReportRefusal(sio.GuardError{Guard: "admin", Rule: "sign-in", Code: code})
	if code == codeTooMany {
		seconds := int(wait/time.Second) + 1
		return &sio.Error{Message: fmt.Sprintf("too many attempts to sign in: try again in %d seconds", seconds)}
	}
	return &sio.Error{Message: "invalid credentials"}
}

// addressKey returns the part of an address that attempts are counted by. Clients without
// an address are counted together.
func addressKey(text string) string {
	text = strings.TrimSpace(text[strings.LastIndexByte(text, ',')+1:])
	ip, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(text)
		if err != nil {
			return "unknown"
		}
		ip = withPort.Addr()
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip.WithZone(""), ipv6Network).Masked().String()
}
