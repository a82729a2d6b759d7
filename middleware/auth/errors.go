package auth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

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
	CodeRevoked     Code = "token_revoked"    // likewise
	CodeForbidden   Code = "forbidden"        // the token is good, but not for this
	CodeUnavailable Code = "auth_unavailable" // try again later
)

// Errors for verifiers and checks of your own: return one of them, or wrap it, to
// have the client told its code. Any other error is one of the server: the client
// is told "internal error", and it is logged at Error.
var (
	ErrMissing     = errors.New("auth: token is missing")
	ErrExpired     = errors.New("auth: token has expired")
	ErrInvalid     = errors.New("auth: token is not valid")
	ErrRevoked     = errors.New("auth: token has been revoked")
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
		{ErrRevoked, CodeRevoked, "token revoked"},
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

// A tokenError is one of our errors with a reason, which goes to the log. It wraps
// nothing: what decoders say can quote from a token.
type tokenError struct {
	is     error
	reason string
}

func (e *tokenError) Error() string        { return e.is.Error() + ": " + e.reason }
func (e *tokenError) Is(target error) bool { return target == e.is }

// classify tells an expired token from those that are wrong in any other way.
// Only the issuer's own tokens can be expired: their signature was good.
func classify(err error) error {
	if e, ok := errors.AsType[*tokenError](err); ok {
		return e // of our own, on its way through the JWT library
	}
	if e, ok := errors.AsType[*sio.Error](err); ok {
		return e // likewise, of the Validate method of the user's claims
	}
	for _, ours := range []error{ErrForbidden, ErrRevoked, ErrUnavailable, ErrInvalid, ErrExpired, ErrMissing} { // likewise
		if errors.Is(err, ours) {
			return err
		}
	}
	for _, worse := range []error{
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenInvalidIssuer, jwt.ErrTokenNotValidYet,
		jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenRequiredClaimMissing,
	} {
		if errors.Is(err, worse) {
			return &tokenError{ErrInvalid, explain(err)}
		}
	}
	if errors.Is(err, jwt.ErrTokenExpired) {
		return &tokenError{ErrExpired, explain(err)}
	}
	return &tokenError{ErrInvalid, explain(err)}
}

// explain returns what the JWT library says, without what it quotes of tokens.
// That is only of those that it cannot decode.
func explain(err error) string {
	if !errors.Is(err, jwt.ErrTokenMalformed) {
		return err.Error()
	}
	if e, ok := errors.AsType[base64.CorruptInputError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("claim %q does not fit into a %v", e.Field, e.Type)
	}
	return jwt.ErrTokenMalformed.Error()
}
