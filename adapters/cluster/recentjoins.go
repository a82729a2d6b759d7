package cluster

import (
	"maps"
	"time"
)

const (
	// joinTime is for how long the channel of a room is not used after this server has
	// made clients of others join the room.
	joinTime = 10 * time.Second

	// maxJoins bounds the rooms that are remembered. If there are more, no channels of
	// rooms are used.
	maxJoins = 4096
)

// A RecentJoins knows the rooms that this server has made clients of other servers join a
// short time ago. These servers may not have subscribed to the channel of the room yet. What
// follows the join has to reach them, so it takes the channel of the namespace. It is for
// brokers with a channel for each room. It is for one goroutine at a time.
type RecentJoins struct {
	rooms    map[roomName]time.Time
	overflow time.Time
}

type roomName struct{ namespace, room string }

// Note notes that clients of other servers join rooms.
func (j *RecentJoins) Note(namespace string, rooms []string) {
	if j.rooms == nil {
		j.rooms = make(map[roomName]time.Time)
	}
	now := time.Now()
	for _, room := range rooms {
		if len(j.rooms) >= maxJoins && now.Sub(j.overflow) > time.Second {
			maps.DeleteFunc(j.rooms, func(_ roomName, at time.Time) bool { return now.Sub(at) > joinTime })
		}
		if len(j.rooms) >= maxJoins {
			j.overflow = now
			return
		}
		j.rooms[roomName{namespace, room}] = now
	}
}

// Has reports whether clients of other servers may have joined a room a short time ago.
func (j *RecentJoins) Has(namespace, room string) bool {
	if len(j.rooms) == 0 {
		return false
	}
	at, ok := j.rooms[roomName{namespace, room}]
	if !ok {
		return time.Since(j.overflow) <= joinTime
	}
	if time.Since(at) > joinTime {
		delete(j.rooms, roomName{namespace, room})
		return false
	}
	return true
}
