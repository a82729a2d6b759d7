package chat

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var (
	ann = User{ID: "1", Name: "Ann"}
	ben = User{ID: "2", Name: "Ben"}
)

func mustAdd(t *testing.T, s *state, e *entry) Message {
	t.Helper()
	m, fresh, err := s.add(e)
	if err != nil || !fresh {
		t.Fatalf("add = fresh %v, %v; want a fresh message", fresh, err)
	}
	return m
}

func mustMove(t *testing.T, s *state, st *seat, room string) {
	t.Helper()
	if _, err := s.move(st, room); err != nil {
		t.Fatal(err)
	}
}

func say(from User, nonce, text string) *entry {
	return &entry{Message: Message{Room: "general", From: from, Nonce: nonce, Text: text}}
}

func TestMessageSentAgainIsKeptOnce(t *testing.T) {
	s := newState()
	first := mustAdd(t, s, say(ann, "n", "hello"))
	again, fresh, err := s.add(say(ann, "n", "hello"))
	if err != nil || fresh || again.ID != first.ID {
		t.Errorf("sent again: id %q, fresh %v, %v; want id %q and not fresh", again.ID, fresh, err, first.ID)
	}
	mustAdd(t, s, say(ben, "n", "another person's nonce means nothing"))
	if got := len(s.history("general")); got != 2 {
		t.Errorf("history has %d messages, want 2", got)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	s := newState()
	for i := range maxHistory + 10 {
		mustAdd(t, s, say(ann, fmt.Sprint(i), fmt.Sprint(i)))
	}
	got := s.history("general")
	if len(got) != maxHistory || got[0].Text != "10" {
		t.Errorf("history has %d messages from %q on, want %d from 10 on", len(got), got[0].Text, maxHistory)
	}
}

func TestOldPicturesAreForgottenFirst(t *testing.T) {
	s := newState()
	var ids []string
	for i := range 3 {
		e := say(ann, fmt.Sprint(i), "")
		e.Picture, e.data = &Picture{Type: "image/png"}, make([]byte, maxRoomPictures/2)
		ids = append(ids, mustAdd(t, s, e).ID)
	}
	if _, err := s.picture("general", ids[0]); err == nil {
		t.Error("the oldest of three pictures is kept, want room for two")
	}
	for _, id := range ids[1:] {
		p, err := s.picture("general", id)
		if err != nil || len(p.Data) != maxRoomPictures/2 {
			t.Errorf("picture %s has %d bytes, %v", id, len(p.Data), err)
		}
	}
	if h := s.history("general"); len(h) != 3 || h[2].Picture.Data != nil {
		t.Error("the history lost a message or carries the bytes of pictures")
	}
}

func TestDeliveryIsNewsOncePerOtherPerson(t *testing.T) {
	s := newState()
	id := mustAdd(t, s, say(ann, "n", "hello")).ID
	tests := []struct {
		user User
		id   string
		news bool
	}{
		{ann, id, false}, // another tab of the author's
		{ben, id, true},
		{ben, id, false}, // another tab of Ben's
		{ben, "unknown", false},
	}
	for _, tt := range tests {
		if _, news := s.deliver("general", tt.id, tt.user); news != tt.news {
			t.Errorf("deliver %q to %s = %v, want %v", tt.id, tt.user.Name, news, tt.news)
		}
	}
	if got := s.history("general")[0].DeliveredTo; !slices.Equal(got, []string{"Ben"}) {
		t.Errorf("delivered to %q, want Ben", got)
	}
}

func TestPresenceCountsTabsOnce(t *testing.T) {
	s := newState()
	seats := map[string]*seat{"a1": {user: ann}, "a2": {user: ann}, "b": {user: ben}}
	for id, st := range seats {
		s.enter(id, st)
		mustMove(t, s, st, "general")
	}
	mustMove(t, s, seats["b"], "pictures")
	before := s.presence()
	if !slices.Equal(before.Users, []User{ann, ben}) {
		t.Errorf("online are %v, want Ann and Ben", before.Users)
	}
	if got := before.Rooms[0].Members; !slices.Equal(got, []string{ann.ID}) {
		t.Errorf("in general are %v, want Ann once", got)
	}

	s.leave("a1")
	after := s.presence()
	if len(after.Users) != 2 || after.Version <= before.Version {
		t.Errorf("with a tab closed: %d online, version %d after %d", len(after.Users), after.Version, before.Version)
	}
}

func TestNameIsTakenByOthersOnly(t *testing.T) {
	s := newState()
	s.enter("a", &seat{user: ann})
	tests := []struct {
		user User
		want bool
	}{
		{ann, false},
		{User{ID: "3", Name: "ANN"}, true},
		{ben, false},
	}
	for _, tt := range tests {
		if got := s.taken(tt.user); got != tt.want {
			t.Errorf("taken(%v) = %v, want %v", tt.user, got, tt.want)
		}
	}
}

func TestRoomsAreBounded(t *testing.T) {
	s := newState()
	permanent := len(s.rooms)
	var seats []*seat
	for i := permanent; i < maxRooms; i++ {
		st := &seat{user: ann}
		s.enter(fmt.Sprint(i), st)
		mustMove(t, s, st, fmt.Sprintf("room-%d", i))
		seats = append(seats, st)
	}
	if _, err := s.move(&seat{user: ben}, "one-more"); err == nil {
		t.Error("a room was made although all are in use")
	}
	mustMove(t, s, seats[0], "general")
	mustMove(t, s, seats[1], "one-more")
	names := s.presence().Rooms
	if len(names) != maxRooms || slices.ContainsFunc(names, func(r Room) bool { return r.Name == fmt.Sprintf("room-%d", permanent) }) {
		t.Errorf("there are %d rooms, want %d without the one nobody was in", len(names), maxRooms)
	}
	if _, _, err := s.add(&entry{Message: Message{Room: "nowhere", From: ann, Text: "hello"}}); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a message to no room: %v, want ErrNoRoom", err)
	}
}

func TestRoomNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"general": true, "team-7": true, "küche": true, "日本": true, strings.Repeat("x", maxRoomName): true,
		"": false, "-a": false, "a-": false, "A": false, "a b": false, "a:b": false, "a\x00": false, "\xff": false,
		strings.Repeat("x", maxRoomName+1): false,
	} {
		if err := checkRoomName(name); (err == nil) != ok {
			t.Errorf("checkRoomName(%q) = %v, want ok = %v", name, err, ok)
		}
	}
}
