package postgresadapter

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// The channels of a cluster, behind the prefix:
//
//	#/<namespace>  packets for all servers in a namespace, as the official adapter has it
//	#~<hash>       the same, if the name is too long or is no text
//	#<server>      answers for a server of this module
//	-nodes#        packets without a namespace, for all servers of this module
//
// Names of namespaces begin with a slash, so no two channels have the same name.
const (
	toNamespace = "#"
	toHash      = "#~"
	toServer    = "#"
	toServers   = "-nodes#"
)

const (
	// maxIdentifier is how many bytes PostgreSQL allows in a name.
	maxIdentifier = 63

	hashBytes = 24
	maxPrefix = maxIdentifier - len(toHash) - hashBytes/3*4
)

// channels knows the channels of a cluster.
type channels struct{ prefix string }

func (c channels) servers() string         { return c.prefix + toServers }
func (c channels) server(id string) string { return c.prefix + toServer + id }

// namespace returns the channel of a namespace. The official adapter has none for a long name:
// LISTEN cuts it, and pg_notify refuses it (CAP-F-9).
func (c channels) namespace(name string) string {
	channel := c.prefix + toNamespace + name
	if len(channel) <= maxIdentifier && isText(name) {
		return channel
	}
	sum := sha256.Sum256([]byte(name))
	return c.prefix + toHash + base64.RawURLEncoding.EncodeToString(sum[:hashBytes])
}

// lock returns the key of an advisory lock, which a server has while it listens.
func (c channels) lock(name string) int64 {
	sum := sha256.Sum256([]byte("sioplug " + c.prefix + " " + name))
	return int64(binary.BigEndian.Uint64(sum[:])) //nolint:gosec // any number will do
}
