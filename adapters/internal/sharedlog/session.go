package sharedlog

import (
	"encoding/json"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
)

// positions are what a log has to know about a session besides its id and its data.
type positions struct {
	Rooms    []adapter.Stay `json:"rooms"`
	From     string         `json:"from"`
	Complete string         `json:"complete"`
	Left     string         `json:"left"`
	Tried    string         `json:"tried,omitempty"`
	Barrier  string         `json:"barrier"`
}

// EncodeSession returns the positions of a session in JSON: all but its ids and its data.
// Clients with an offset before barrier cannot claim it.
func EncodeSession(s *adapter.Session, barrier Place) ([]byte, error) {
	return json.Marshal(positions{s.Rooms, s.From, s.Complete, s.Left, s.Tried, barrier.String()})
}

// DecodeSession reads into s what EncodeSession has written.
func DecodeSession(data []byte, s *adapter.Session) (barrier Place, err error) {
	var p positions
	if err := json.Unmarshal(data, &p); err != nil {
		return barrier, err
	}
	s.Rooms, s.From, s.Complete, s.Left, s.Tried = p.Rooms, p.From, p.Complete, p.Left, p.Tried
	barrier, ok := ParsePlace(p.Barrier)
	if !ok {
		return barrier, adapter.ErrUnknownSession
	}
	return barrier, nil
}

// An EarlyError is an error of Save while messages that clients have may come into the stream
// later: whoever came back would get them again.
type EarlyError string

// Error implements error.
func (e EarlyError) Error() string { return string(e) }

// Is matches [adapter.ErrNotKept].
func (e EarlyError) Is(target error) bool { return target == adapter.ErrNotKept }

// earlyTimeout is after how long an early message that has not been read is taken for lost.
const earlyTimeout = time.Minute

// SaveBarrier returns the place of the last early message. ok is false if there are some
// whose place is not known yet: whoever came back would get them again. Those that are pending
// do not matter: the client, which has gone, does not have them.
//
// Nobody waits for the places: the reader has not come there, so they are behind every offset
// that the client can have, and the session could not be claimed.
func (l *Log) SaveBarrier() (barrier Place, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.early); n > 0 && time.Since(l.early[n-1].since) > earlyTimeout {
		l.forgetEarlyLocked(n)
		l.barrier = l.order.At()
	}
	return l.barrier, len(l.early) == 0
}
