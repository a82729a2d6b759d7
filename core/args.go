package sio

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/sioplug/sioplug/internal/packet"
	"github.com/sioplug/sioplug/internal/rescue"
)

// Args are values from a client, another server or an emit: the arguments of an event,
// or the values of an acknowledgement. To send them on, use [Args.Values].
type Args struct {
	args  packet.Args
	codec packet.Codec
	task  *task // with these arguments; nil for other values
}

// Len returns the number of values.
func (a Args) Len() int { return a.args.Len() }

// Bind decodes the values into dst, by position, as [Ctx.Bind] does.
func (a Args) Bind(dst ...any) error {
	if a.isDroppedAuth() {
		return ErrAuthDropped
	}
	if err := a.decode(dst); err != nil {
		return a.invalid(err)
	}
	return nil
}

// Size returns the size of the values in bytes, as they were sent.
func (a Args) Size() int { return a.args.Size() }

// At returns the value at index i alone. If there is none, it returns no values.
func (a Args) At(i int) Args {
	if a.isAuth() && i != 0 {
		a.task = nil
	}
	a.args = a.args.At(i)
	return a
}

// Without returns the values without the one at index i. If there is none, or if they are
// an auth payload, it returns all.
func (a Args) Without(i int) Args {
	if !a.isAuth() && i >= 0 && i < a.Len() {
		a.args = a.args.Without(i)
	}
	return a
}

// Values returns all values, decoded as encoding/json decodes into an any: objects are
// maps, and numbers are float64. Binary data is a []byte, at any depth. To emit the
// values again:
//
//	values, err := c.Args().Values()
//	if err != nil {
//		return err
//	}
//	return other.Emit(c.Event(), values...)
//
// The error is that of [Args.Bind]: a number may be too large for a float64.
func (a Args) Values() ([]any, error) {
	if a.isDroppedAuth() {
		return nil, ErrAuthDropped
	}
	values, err := a.args.Values(a.codec)
	if err != nil {
		return nil, a.invalid(err)
	}
	return values, nil
}

// errValues is for values that do not fit. Their sender is to blame.
var errValues = errors.New("decoding values")

func (a Args) invalid(err error) error {
	switch {
	case a.task != nil:
		return a.task.invalid(err)
	case err == errAfterOptional: //nolint:errorlint // it is not wrapped
		return err
	default:
		return fmt.Errorf("%w: %w", errValues, err)
	}
}

// invalid returns the error for an argument that does not fit.
func (t *task) invalid(err error) error {
	if err == errAfterOptional { //nolint:errorlint // it is not wrapped
		return err
	}
	return invalidPayload(err, strconv.Quote(t.event))
}

// invalidPayload returns the error for a value that does not fit. what names the value
// in the log.
func invalidPayload(err error, what string) error {
	cause := err
	if a, ok := err.(*packet.ArgumentError); ok { //nolint:errorlint // it is not wrapped
		cause = a.Err
	}
	err = fmt.Errorf("decoding %s: %w", what, err)
	if rescue.Panicked(cause) {
		return err // it is not the client's fault
	}
	return &Error{Message: "invalid payload", Err: err}
}

// Args returns the arguments, without decoding them. While the client connects, it is
// the auth payload. If an argument does not fit, the methods of Args return the error of
// [Ctx.Bind].
func (c *Ctx) Args() Args {
	args := c.args
	if c.task.kind == taskConnect {
		args = c.authArgs()
	}
	return Args{args, c.wire().codec, c.task}
}

// isAuth reports whether the values are an auth payload.
func (a Args) isAuth() bool { return a.task != nil && a.task.kind == taskConnect }

// isDroppedAuth reports whether the values are an auth payload that is not kept any more.
func (a Args) isDroppedAuth() bool {
	return a.isAuth() && a.Len() == 0
}

// authArgs returns the auth payload as a list, empty if the payload was dropped.
func (s *Socket) authArgs() packet.Args {
	auth, dropped := s.authPayload()
	switch {
	case dropped:
		return packet.Args{}
	case auth == nil:
		auth = []byte("{}")
	}
	args, _ := packet.NewArgs(packet.Ack, append(append([]byte{'['}, auth...), ']'), nil) // it was valid when it came
	return args
}
