package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	sio "github.com/sioplug/sioplug/core"
)

const (
	maxUserName = 24   // runes
	maxRoomName = 24   // runes
	maxText     = 2000 // runes
)

// A User is somebody who has signed in.
type User struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// CleanName returns name as the chat shows it, or an [*sio.Error] that tells the
// person who typed it what is wrong.
func CleanName(name string) (string, error) {
	name = strings.Join(strings.Fields(name), " ")
	switch {
	case name == "":
		return "", &sio.Error{Message: "Please enter a name."}
	case utf8.RuneCountInString(name) > maxUserName:
		return "", &sio.Error{Message: "Please choose a shorter name (24 characters at most)."}
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return "", &sio.Error{Message: "This name has characters that cannot be shown."}
	}
	return name, nil
}

// checkRoomName accepts lower-case letters, digits and inner hyphens.
func checkRoomName(name string) error {
	plain := func(r rune) bool { return unicode.IsDigit(r) || unicode.IsLetter(r) && unicode.ToLower(r) == r }
	odd := func(r rune) bool { return r != '-' && !plain(r) }
	if n := utf8.RuneCountInString(name); n == 0 || n > maxRoomName ||
		strings.ContainsFunc(name, odd) || strings.Trim(name, "-") != name {
		return &sio.Error{Message: "A room's name has 1 to 24 lower-case letters, digits and hyphens."}
	}
	return nil
}

// cleanText returns text without what has no place in a message.
func cleanText(text string) (string, error) {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, text))
	if utf8.RuneCountInString(text) > maxText {
		return "", &sio.Error{Message: "This message is too long (2,000 characters at most)."}
	}
	return text, nil
}
