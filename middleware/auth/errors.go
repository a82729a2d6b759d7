package auth

import (
	"errors"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
)

// A Code tells a client what to do about a refusal. It is the field "code" of
// the data of an error: err.data.code in connect_error, error.data.code in an ack.
type Code string

// The codes. They do not change.
const (
	CodeMissing     Code = "token_missing"    // send a token
	CodeExpired     Code = "token_expired"    // get a new token
	CodeInvalid     Code = "token_invalid"    // sign in again
	CodeRevoked     Code = "token_revoked"    // likewise; only in EventRevoked
	CodeForbidden   Code = "forbidden"        // the token is good, but not for this
	CodeUnavailable Code = "auth_unavailable" // try again later
)

// Errors for verifiers and checks of your own: return one of them, or wrap it, to
// have the client told its code. Any other error is one of the server: the client
// is told "internal error", and it is logged.
var (
	ErrMissing     = errors.New("auth: token is missing")
	ErrExpired     = errors.New("auth: token has expired")
	ErrInvalid     = errors.New("auth: token is not valid")
	ErrForbidden   = errors.New("auth: not allowed")
	ErrUnavailable = errors.New("auth: tokens cannot be verified at present")
)

// A refusal is the data of an error, and of the events that tell of the end.
type refusal struct {
	Code Code `json:"code"`
}

// refuse returns err as the client may know it. The cause is for the log.
func refuse(err error) error {
	if _, meant := errors.AsType[*sio.Error](err); meant || err == nil {
		return err
	}
	for _, r := range []struct {
		is      error
		code    Code
		message string
	}{
		{ErrMissing, CodeMissing, "token missing"},
		{ErrExpired, CodeExpired, "token expired"},
		{ErrInvalid, CodeInvalid, "token invalid"},
		{ErrForbidden, CodeForbidden, "forbidden"},
		{ErrUnavailable, CodeUnavailable, "authentication unavailable"},
	} {
		if errors.Is(err, r.is) {
			return &sio.Error{Message: r.message, Data: refusal{r.code}, Err: err}
		}
	}
	return err
}

// codeOf returns the code in a refusal, "" if err is not one of ours.
func codeOf(err error) Code {
	e, _ := errors.AsType[*sio.Error](err)
	if e == nil {
		return ""
	}
	r, _ := e.Data.(refusal)
	return r.Code
}

// A tokenError is what the JWT library says about a token, as one of our errors.
type tokenError struct{ is, err error }

func (e *tokenError) Error() string        { return e.is.Error() + ": " + e.err.Error() }
func (e *tokenError) Unwrap() error        { return e.err }
func (e *tokenError) Is(target error) bool { return target == e.is }

// classify tells an expired token from those that are wrong in any other way.
// Only the issuer's own tokens can be expired: their signature was good.
func classify(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	for _, worse := range []error{
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenNotValidYet,
		jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenRequiredClaimMissing,
	} {
		if errors.Is(err, worse) {
			return &tokenError{ErrInvalid, err}
		}
	}
	if errors.Is(err, jwt.ErrTokenExpired) {
		return &tokenError{ErrExpired, err}
	}
	return &tokenError{ErrInvalid, err}
}
