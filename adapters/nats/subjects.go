package natsadapter

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/sioplug/sioplug/adapters/cluster"
)

// The subjects of a cluster, behind the prefix:
//
//	s                     packets without a namespace, for all servers
//	i.<server>.<what>     the inbox of a server: answers, and the question whether it is there
//	n.<namespace>         packets for all servers in a namespace
//	r.<namespace>.<room>  broadcasts for the servers with clients in a room
//
// With JetStream, rooms have no subjects, and n has only what is outside of the stream. These
// are there as well:
//
//	l.<namespace>         into the stream: packets for all servers in a namespace, and fences
//	k.<namespace>         out of the stream: the same, for all servers
//	c.<session>           the session of a client
const (
	toServers   = ".s"
	toInbox     = ".i."
	toNamespace = ".n."
	toRoom      = ".r."
	toStored    = ".l."
	toAgain     = ".k."
	toSession   = ".c."
)

const (
	// maxToken is how long a name is in a subject. Longer ones are hashed: NATS bounds
	// the length of a subject.
	maxToken = 128

	escape = '='
	hashed = "~" // begins the hash of a long name

	hexDigits = "0123456789ABCDEF"
)

// token returns a name as a token of a subject. No two names have the same, unless their
// SHA-256 is the same. Bytes that are not allowed in tokens, or are seldom safe, become "="
// and two digits. An empty name is "=".
func token(name string) string {
	plain := len(name) <= maxToken && name != ""
	for i := 0; i < len(name) && plain; i++ {
		plain = isSafe(name[i])
	}
	if plain {
		return name
	}
	if name == "" {
		return string(escape)
	}
	var b strings.Builder
	for i := 0; i < len(name) && b.Len() <= maxToken; i++ {
		if c := name[i]; isSafe(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte(escape)
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&0xf])
		}
	}
	if b.Len() > maxToken {
		sum := sha256.Sum256([]byte(name))
		return hashed + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return b.String()
}

// isSafe reports whether a byte stands for itself in a token.
func isSafe(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	default:
		return strings.IndexByte("-_/:@+,", c) >= 0
	}
}

// privateLength is the length of a socket's id. Rooms with such a name are taken for those of
// single sockets.
const privateLength = 20

// subjects knows the subjects of a cluster.
type subjects struct {
	prefix string
	mode   SubscriptionMode
}

func (s subjects) servers() string { return s.prefix + toServers }
func (s subjects) inbox(server, what string) string {
	return s.prefix + toInbox + token(server) + "." + what
}

func (s subjects) namespace(namespace string) string {
	return s.prefix + toNamespace + token(namespace)
}

func (s subjects) room(namespace, room string) string {
	return s.prefix + toRoom + token(namespace) + "." + token(room)
}

// stored returns the subject of the stream for a namespace, that of fences for "".
func (s subjects) stored(namespace string) string { return s.prefix + toStored + token(namespace) }

// session returns the subject of a session. It does not tell its private id, and cannot be told
// without that.
func (s subjects) session(namespace, pid string) string {
	sum := sha256.Sum256([]byte(namespace + "\x00" + pid))
	return s.prefix + toSession + base64.RawURLEncoding.EncodeToString(sum[:])
}

// hasSubject reports whether a room has a subject of its own.
func (s subjects) hasSubject(room string) bool {
	switch s.mode {
	case DynamicPrivate:
		return true
	case Dynamic:
		return len(room) != privateLength
	case Static:
		return false
	default:
		return false
	}
}

// of returns the subject for a packet.
func (s subjects) of(p *cluster.Packet, joined *cluster.RecentJoins) string {
	if p.Type == cluster.SocketsJoin && s.mode != Static {
		joined.Note(p.Namespace, p.Message.Rooms)
	}
	switch {
	case p.Namespace == "":
		return s.servers()
	case p.Type.IsResponse() && p.To != "":
		return s.inbox(p.To, answerTo)
	case p.Type == cluster.Broadcast && p.RequestID == "":
		if rooms := p.Message.Target.Rooms; len(rooms) == 1 && s.hasSubject(rooms[0]) && !joined.Has(p.Namespace, rooms[0]) {
			return s.room(p.Namespace, rooms[0])
		}
	}
	return s.namespace(p.Namespace)
}
