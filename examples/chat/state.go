package chat

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

const (
	maxRooms        = 24
	maxHistory      = 50      // messages kept per room
	maxRoomPictures = 3 << 20 // bytes of pictures kept per room
	maxDelivered    = 100     // names kept per message
)

// state is everything the chat knows. It speaks to nobody, so that it can be
// tested without a server.
type state struct {
	origin string // is in the ids of this server's messages

	mu      sync.Mutex
	epoch   string           // names the run of the chat: that of the server which started first
	version uint64           // of the presence
	serial  int              // of messages
	seats   map[string]*seat // by socket id
	others  map[string]*seat // of other servers, by socket id; replaced, not changed
	rooms   []*room          // in the order they were made
}

// A seat is one socket's place. Several seats may belong to one user.
type seat struct {
	user User
	room string // guarded by state.mu
}

type room struct {
	name, topic string
	permanent   bool
	entries     []*entry // oldest first
}

// An entry is a message with what only the server needs to know.
type entry struct {
	Message

	data      []byte            // the picture; nil when there is none or it is no longer kept
	delivered map[string]string // names of those who have it, by user id
}

func newState() *state {
	origin := rand.Text()
	return &state{
		origin: origin,
		epoch:  fmt.Sprintf("%013d-%s", time.Now().UnixMilli(), origin), // the smallest is the oldest
		seats:  make(map[string]*seat),
		rooms: []*room{
			{name: "general", topic: "Say hello", permanent: true},
			{name: "pictures", topic: "Paste one, drop one, choose one", permanent: true},
			{name: "releases", topic: "Announcements made through the REST API", permanent: true},
		},
	}
}

// enter seats a socket and leave clears its place.
func (s *state) enter(id string, st *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seats[id] = st
	s.version++
}

func (s *state) leave(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seats, id)
	s.version++
}

// taken reports whether somebody else than user is online under user's name.
func (s *state) taken(user User) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.allSeats() {
		if st.user.ID != user.ID && strings.EqualFold(st.user.Name, user.Name) {
			return true
		}
	}
	return false
}

// allSeats are those of all servers. The caller holds s.mu.
func (s *state) allSeats() iter.Seq2[string, *seat] {
	return func(yield func(string, *seat) bool) {
		for _, seats := range []map[string]*seat{s.seats, s.others} {
			for id, st := range seats {
				if !yield(id, st) {
					return
				}
			}
		}
	}
}

// move changes the room of a seat, making the room if need be, and returns the
// room left.
func (s *state) move(st *seat, to string) (from string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(to); err != nil {
		return "", err
	}
	from, st.room = st.room, to
	s.version++
	return from, nil
}

func (s *state) roomOf(st *seat) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return st.room
}

// add appends e to its room and names it. A message that is already there,
// because its sender missed the first acknowledgement, is not added again.
func (s *state) add(e *entry) (m Message, fresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(e.Room)
	if r == nil {
		return Message{}, false, ErrNoRoom
	}
	if old := r.same(e); old != nil {
		return old.Message, false, nil
	}
	s.serial++
	e.ID = fmt.Sprintf("%s-%d", s.origin, s.serial)
	e.At = time.Now().UnixMilli()
	r.insert(e)
	return e.Message, true, nil
}

// same returns the entry that e is another copy of.
func (r *room) same(e *entry) *entry {
	i := slices.IndexFunc(r.entries, func(old *entry) bool {
		return old.ID == e.ID || e.Nonce != "" && old.Nonce == e.Nonce && old.From.ID == e.From.ID
	})
	if i < 0 {
		return nil
	}
	return r.entries[i]
}

// insert puts e in its place, by time.
func (r *room) insert(e *entry) {
	i := len(r.entries)
	for i > 0 && r.entries[i-1].At > e.At {
		i--
	}
	r.entries = slices.Insert(r.entries, i, e)
	r.trim()
}

// trim forgets what is too old, pictures first.
func (r *room) trim() {
	if n := len(r.entries) - maxHistory; n > 0 {
		r.entries = slices.Delete(r.entries, 0, n)
	}
	kept := 0
	for _, e := range slices.Backward(r.entries) {
		if kept += len(e.data); kept > maxRoomPictures {
			e.data = nil
		}
	}
}

// history returns what is kept of a room, without the bytes of pictures.
func (s *state) history(name string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	messages := []Message{} // not nil: JSON's null is no list
	if r := s.find(name); r != nil {
		for _, e := range r.entries {
			m := e.Message
			m.DeliveredTo = e.names()
			messages = append(messages, m)
		}
	}
	return messages
}

func (s *state) currentEpoch() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// picture returns a picture of the history with its bytes.
func (s *state) picture(room, id string) (Picture, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entry(room, id)
	if e == nil || e.data == nil {
		return Picture{}, errNoPicture
	}
	p := *e.Picture
	p.Data = e.data
	return p, nil
}

// deliver notes that user has a message and returns it, with the names of all
// who have. It reports false when that is no news to the author.
func (s *state) deliver(room, id string, user User) (Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entry(room, id)
	if e == nil || e.From.ID == user.ID || e.delivered[user.ID] != "" || len(e.delivered) == maxDelivered {
		return Message{}, false
	}
	if e.delivered == nil {
		e.delivered = make(map[string]string)
	}
	e.delivered[user.ID] = user.Name
	m := e.Message
	m.DeliveredTo = e.names()
	return m, true
}

// presence returns who is online and where, each user once.
func (s *state) presence() Presence {
	s.mu.Lock()
	defer s.mu.Unlock()
	users := make(map[string]User)
	members := make(map[string][]string)
	for _, st := range s.allSeats() {
		users[st.user.ID] = st.user
		if st.room != "" && !slices.Contains(members[st.room], st.user.ID) {
			members[st.room] = append(members[st.room], st.user.ID)
		}
	}
	p := Presence{Version: s.version, Rooms: make([]Room, 0, len(s.rooms))}
	p.Users = slices.SortedFunc(maps.Values(users), func(a, b User) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	for _, r := range s.rooms {
		in := append([]string{}, members[r.name]...)
		slices.Sort(in)
		p.Rooms = append(p.Rooms, Room{Name: r.name, Topic: r.topic, Members: in})
	}
	return p
}

// open makes a room of that name if there is none. When there are too many it
// gives up one that nobody is in. The caller holds s.mu.
func (s *state) open(name string) error {
	if s.find(name) != nil {
		return nil
	}
	if err := checkRoomName(name); err != nil {
		return err
	}
	if len(s.rooms) >= maxRooms {
		i := slices.IndexFunc(s.rooms, func(r *room) bool { return !r.permanent && !s.occupied(r.name) })
		if i < 0 {
			return &sio.Error{Message: "There are too many rooms already."}
		}
		s.rooms = slices.Delete(s.rooms, i, i+1)
	}
	s.rooms = append(s.rooms, &room{name: name})
	return nil
}

func (s *state) find(name string) *room {
	i := slices.IndexFunc(s.rooms, func(r *room) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return s.rooms[i]
}

func (s *state) entry(room, id string) *entry {
	r := s.find(room)
	if r == nil {
		return nil
	}
	i := slices.IndexFunc(r.entries, func(e *entry) bool { return e.ID == id })
	if i < 0 {
		return nil
	}
	return r.entries[i]
}

func (s *state) occupied(room string) bool {
	for _, st := range s.allSeats() {
		if st.room == room {
			return true
		}
	}
	return false
}

func (e *entry) names() []string {
	return slices.Sorted(maps.Values(e.delivered))
}
