package auth

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	sio "github.com/sioplug/sioplug/core"
)

// A Code tells a client why it was refused. It is the field "code" of the data of an
// error: err.data.code in connect_error, error.data.code in an ack.
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

// Errors for your own verifiers and checks. If you return or wrap one of them, the client
// gets its code. Any other error is an internal error: the client gets "internal error",
// and the server logs the error at Error.
var (
	ErrMissing     = errors.New("auth: token is missing")
	ErrExpired     = errors.New("auth: token has expired")
	ErrInvalid     = errors.New("auth: token is not valid")
	ErrRevoked     = errors.New("auth: token has been revoked")
	ErrForbidden   = errors.New("auth: not allowed")
	ErrUnavailable = errors.New("auth: tokens cannot be verified at present")
)

// A refusal is the data of an error, and of [EventExpired] and [EventRevoked].
type refusal struct {
	Code Code `json:"code"`
}

// refuse returns the error for the client. It wraps the cause, which is for the log.
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

// refuse is [refuse] with the message of the option [Message].
func (o *options) refuse(err error) error {
	err = refuse(err)
	code := codeOf(err)
	if code == "" || o == nil { // nil for what another server has saved
		return err
	}
	if message := cmp.Or(o.messages[code], o.messages[""]); message != "" {
		return &sio.Error{Message: message, Data: refusal{code}, Err: err}
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

// A tokenError is one of our errors with a reason for the log. It wraps no other error,
// because the errors of decoders can quote from a token.
type tokenError struct {
	is     error
	reason string
}

func (e *tokenError) Error() string        { return e.is.Error() + ": " + e.reason }
func (e *tokenError) Is(target error) bool { return target == e.is }

// classify makes errors of the JWT library ours. A token is expired only if nothing else
// is wrong with it: its signature is that of the issuer.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*tokenError](err); ok {
		return e // one of ours that the JWT library has passed on
	}
	if e, ok := errors.AsType[*sio.Error](err); ok {
		return e // from the Validate method of the application's claims
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

// explain returns the text of an error of the JWT library. The errors for tokens that it
// cannot decode quote from the token: for these it returns another text.
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
