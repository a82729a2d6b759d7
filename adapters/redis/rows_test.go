package redisadapter_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	redisadapter "github.com/sioplug/sioplug/adapters/redis"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/redistest"
)

// commands collects what is sent to Redis until each of want has been seen, with UID for
// the id of the server. It returns those of the same commands that are not wanted.
func commands(next func() []string, uid string, want ...string) (others []string) {
	missing, names := make(map[string]bool), make(map[string]bool)
	for _, w := range want {
		missing[w] = true
		name, _, _ := strings.Cut(w, " ")
		names[name] = true
	}
	for len(missing) > 0 {
		words := next()
		if !names[words[0]] {
			continue
		}
		line := strings.ReplaceAll(strings.Join(words[:2], " "), uid, "UID")
		if missing[line] {
			delete(missing, line)
		} else {
			others = append(others, line)
		}
	}
	return others
}

// each returns lines with a command before each channel.
func each(command string, channels ...string) []string {
	lines := make([]string, len(channels))
	for i, c := range channels {
		lines[i] = command + " " + c
	}
	return lines
}

// What servers of the official adapters subscribe to, and what ours do (CAP-RC-001 to -008,
// -101 to -108, CAP-SH-001 to -013, -117 to -123, CAP-SHP-001 to -018, CAP-SHS-001 to -004,
// CAP-ST). Ours have one more channel, for heartbeats.
func TestSubscriptionsOfTheCaptures(t *testing.T) {
	t.Parallel()
	sharded := []string{"socket.io#/#", "socket.io#/#UID#", "socket.io#/chat#", "socket.io#/chat#UID#"}
	for name, tt := range map[string]struct {
		newCluster func(redis.UniversalClient) server
		start, end []string
		rooms      []string // when clients join room1 and a room like a socket's id
	}{
		"classic": {
			newCluster: func(c redis.UniversalClient) server { return redisadapter.Classic(c) },
			start: append(each("PSUBSCRIBE", "socket.io#/#*", "socket.io#/chat#*"), each("SUBSCRIBE", "socket.io-nodes#",
				"socket.io-request#/#", "socket.io-response#/#", "socket.io-response#/#UID#",
				"socket.io-request#/chat#", "socket.io-response#/chat#", "socket.io-response#/chat#UID#")...),
			end: append(each("PUNSUBSCRIBE", "socket.io#/#*", "socket.io#/chat#*"), each("UNSUBSCRIBE", "socket.io-nodes#",
				"socket.io-request#/#", "socket.io-response#/#", "socket.io-response#/#UID#",
				"socket.io-request#/chat#", "socket.io-response#/chat#", "socket.io-response#/chat#UID#")...),
		},
		"sharded": {
			newCluster: func(c redis.UniversalClient) server { return redisadapter.Sharded(c) },
			start:      each("SSUBSCRIBE", append([]string{"socket.io-nodes#"}, sharded...)...),
			end:        each("SUNSUBSCRIBE", append([]string{"socket.io-nodes#", "socket.io#/#room1#"}, sharded...)...),
			rooms:      each("SSUBSCRIBE", "socket.io#/#room1#"), // not CAP-SH-013: nobody publishes there
		},
		"sharded dynamic-private": {
			newCluster: func(c redis.UniversalClient) server {
				return redisadapter.Sharded(c, redisadapter.ShardedOptions{SubscriptionMode: redisadapter.DynamicPrivate})
			},
			start: each("SSUBSCRIBE", append([]string{"socket.io-nodes#"}, sharded...)...),
			end:   each("SUNSUBSCRIBE", append([]string{"socket.io-nodes#"}, sharded...)...),
			rooms: each("SSUBSCRIBE", "socket.io#/#room1#", "socket.io#/#abcdefghij0123456789#"),
		},
		"sharded static": {
			newCluster: func(c redis.UniversalClient) server {
				return redisadapter.Sharded(c, redisadapter.ShardedOptions{SubscriptionMode: redisadapter.Static})
			},
			start: each("SSUBSCRIBE", append([]string{"socket.io-nodes#"}, sharded...)...),
			end:   each("SUNSUBSCRIBE", append([]string{"socket.io-nodes#"}, sharded...)...),
		},
		"streams": {
			newCluster: func(c redis.UniversalClient) server { return redisadapter.Streams(c) },
			start:      each("SUBSCRIBE", append([]string{"socket.io-nodes#socket.io#"}, sharded...)...),
			end:        each("UNSUBSCRIBE", append([]string{"socket.io-nodes#socket.io#"}, sharded...)...),
		},
		"streams sharded": {
			newCluster: func(c redis.UniversalClient) server {
				return redisadapter.Streams(c, redisadapter.StreamsOptions{UseShardedPubSub: true})
			},
			start: each("SSUBSCRIBE", append([]string{"socket.io-nodes#socket.io#"}, sharded...)...),
			end:   each("SUNSUBSCRIBE", append([]string{"socket.io-nodes#socket.io#"}, sharded...)...),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			c := tt.newCluster(newClient(t, s.Addr))
			next := s.Monitor()
			n, chat := join(t, c, "/", "a"), join(t, c, "/chat", "chat")
			uid := c.Status().Server
			if others := commands(next, uid, tt.start...); len(others) > 0 {
				t.Errorf("also %q", others)
			}
			if w, ok := n.Adapter.(adapter.RoomWatcher); ok && tt.rooms != nil {
				w.RoomCreated("abcdefghij0123456789")
				w.RoomCreated("room1")
				if others := commands(next, uid, tt.rooms...); len(others) > 0 {
					t.Errorf("also %q", others)
				}
				w.RoomDeleted("abcdefghij0123456789")
			} else if tt.rooms != nil {
				t.Error("rooms are not watched")
			}
			if err := chat.Close(); err != nil {
				t.Error(err)
			}
			if err := n.Close(); err != nil {
				t.Error(err)
			}
			for _, other := range commands(next, uid, tt.end...) {
				if !strings.Contains(other, "room1") && !strings.Contains(other, "abcdefghij0123456789") {
					t.Errorf("also %q", other)
				}
			}
		})
	}
}

// The channel for each kind of message (ECO-RC-1 to -5, ECO-RC-14, ECO-SH-4, ECO-ST-2, -3).
func TestChannelsOfTheCaptures(t *testing.T) {
	t.Parallel()
	room := adapter.Target{Rooms: []string{"room1"}}
	all := map[string]*adapter.Message{
		"all":    {Kind: adapter.Broadcast, Data: []byte(`["e"]`)},
		"room":   {Kind: adapter.Broadcast, Data: []byte(`["e"]`), Target: room},
		"rooms":  {Kind: adapter.Broadcast, Data: []byte(`["e"]`), Target: adapter.Target{Rooms: []string{"room1", "room2"}}},
		"socket": {Kind: adapter.Broadcast, Data: []byte(`["e"]`), Target: adapter.Target{Rooms: []string{"abcdefghij0123456789"}}},
		"join":   {Kind: adapter.Join, Target: room, Rooms: []string{"x"}},
		"event":  {Kind: adapter.ServerEvent, Data: []byte(`["e"]`)},
	}
	for name, want := range map[string]map[string]string{
		"classic": { // CAP-RC-009, -017, -018, -020, -070, -073
			"all": "PUBLISH socket.io#/#", "room": "PUBLISH socket.io#/#room1#", "rooms": "PUBLISH socket.io#/#",
			"socket": "PUBLISH socket.io#/#abcdefghij0123456789#", "join": "PUBLISH socket.io-request#/#", "event": "PUBLISH socket.io-request#/#",
		},
		"sharded": { // CAP-SH-015, -078, -089
			"all": "SPUBLISH socket.io#/#", "room": "SPUBLISH socket.io#/#room1#", "rooms": "SPUBLISH socket.io#/#",
			"socket": "SPUBLISH socket.io#/#", "join": "SPUBLISH socket.io#/#", "event": "SPUBLISH socket.io#/#",
		},
		"streams": { // the official adapter sends "event" over pub/sub, and understands it in the stream, too
			"all": "XADD socket.io", "room": "XADD socket.io", "rooms": "XADD socket.io",
			"socket": "XADD socket.io", "join": "XADD socket.io", "event": "XADD socket.io",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			n := join(t, adapters()[name](newClient(t, s.Addr)), "/", "a")
			next := s.Monitor()
			for _, kind := range slices.Sorted(maps.Keys(all)) {
				if err := n.Publish(all[kind]); err != nil {
					t.Fatal(err)
				}
				for _, other := range commands(next, n.cluster.Status().Server, want[kind]) {
					if !strings.Contains(other, "-nodes#") {
						t.Errorf("%s: %s", kind, other)
					}
				}
			}
		})
	}
}
