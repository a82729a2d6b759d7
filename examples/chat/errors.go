package chat

import (
	"errors"
	"net/http"

	sio "github.com/sioplug/sioplug/core"
)

// ErrNoRoom means that nobody has made a room of that name.
var ErrNoRoom = &sio.Error{Message: "There is no such room."}

var errNoPicture = &sio.Error{Message: "This picture is no longer kept."}

var errTaken = errors.New("name taken")

// ErrorText returns what err says to people, for handlers outside the sockets.
func ErrorText(err error) string {
	if e, ok := errors.AsType[*sio.Error](err); ok {
		return e.Message
	}
	return "Something went wrong."
}

// ErrorStatus returns the HTTP status that goes with an error of a [Chat].
func ErrorStatus(err error) int {
	_, forPeople := errors.AsType[*sio.Error](err)
	switch {
	case errors.Is(err, ErrNoRoom):
		return http.StatusNotFound
	case errors.Is(err, errTaken):
		return http.StatusConflict
	case forPeople:
		return http.StatusUnprocessableEntity
	default:
		return http.StatusInternalServerError
	}
}
