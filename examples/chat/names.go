package chat

import (
	"crypto/rand"
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

// NewUser returns somebody of that name, which nobody else may have who is online.
// The error tells the person who typed the name what is wrong.
func (c *Chat) NewUser(name string) (User, error) {
	name, err := cleanName(name)
	if err != nil {
		return User{}, err
	}
	user := User{ID: rand.Text(), Name: name}
	if c.state.taken(user) {
		return User{}, &sio.Error{
			Message: "Somebody called " + name + " is here already. Please choose another name.",
			Err:     errTaken,
		}
	}
	return user, nil
}

// cleanName returns name as the chat shows it.
func cleanName(name string) (string, error) {
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
