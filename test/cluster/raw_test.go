package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/internal/redistest"
)

// testOldRequests makes requests that only older versions of the official adapter make:
// ECO-RC-22, ECO-RC-26, CAP-F-24. m is the server that has to answer them.
func (c *cluster) testOldRequests(t *testing.T, addr string, m member) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	key, _ := c.variant.options["key"].(string)
	if key == "" {
		key = "socket.io"
	}
	responses := client.Subscribe(ctx, key+"-response#/#")
	defer responses.Close()
	if _, err := responses.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	last := 0
	ask := func(format string, args ...any) {
		t.Helper()
		last++
		request := fmt.Sprintf(`{"requestId":"old %s %d",%s}`, m.name(), last, fmt.Sprintf(format, args...))
		if err := client.Publish(ctx, key+"-request#/#", request).Err(); err != nil {
			t.Fatal(err)
		}
	}
	answer := func() (sockets []string) {
		t.Helper()
		for {
			msg, err := responses.ReceiveMessage(ctx)
			if err != nil {
				t.Fatalf("request %d of %s: %v", last, m.name(), err)
			}
			var r struct {
				RequestID string
				Sockets   []string
			}
			if err := json.Unmarshal([]byte(msg.Payload), &r); err == nil && r.RequestID == fmt.Sprintf("old %s %d", m.name(), last) {
				return r.Sockets
			}
		}
	}
	guest := connectClient(t, c.peer, m, " is old", "/", "old "+m.name())
	ask(`"type":0,"rooms":["old %s"]`, m.name())
	for got := []string(nil); !slices.Equal(got, []string{guest.id}); {
		if got = answer(); len(got) > 0 && !slices.Equal(got, []string{guest.id}) {
			t.Fatalf("the sockets are %q, want %q", got, guest.id)
		}
	}
	ask(`"type":2,"sid":"%s","room":"by old %s"`, guest.id, m.name())
	answer()
	join := command{Op: "emit", NS: "/", Args: with("joined"), To: []any{"by old " + m.name()}}
	c.must(t, m, join)
	c.diary.until(t, received(guest.name), 0, canonical(join.Args))
	ask(`"type":3,"sid":"%s","room":"by old %s"`, guest.id, m.name())
	answer()
	leave := command{Op: "emit", NS: "/", Args: with("left"), To: []any{"by old " + m.name()}}
	c.must(t, m, leave)
	if got := c.diary.until(t, received(guest.name), 0, c.mark(t, m)); slices.Contains(got, canonical(leave.Args)) {
		t.Error("it has not left the room")
	}
	ask(`"type":4,"sid":"%s","close":true`, guest.id) // servers in Go do not confirm it
	c.diary.until(t, disconnected(guest.name), 0, "io server disconnect")
}

// garbage is what servers in Go have to survive. What official servers do about some of it
// is worse: they end (CAP-F-7), are deaf from then on (CF-1), or pass it to clients (CF-3).
func garbage() []string {
	return []string{
		"", " ", "{", "{}", "[]", "null", `{"type":5,"requestId":"x","uid":"x"}`, `{"type":7,"requestId":"x"}`, `{"type":6}`,
		`{"type":"3"}`, `{"type":3}`, `{"type":3,"data":null}`, `{"type":-1,"data":{}}`, `{"type":1e99}`, `{"type":2,"opts":{"rooms":"all"},"rooms":["x"]}`,
		`{"type":3,"data":{"packet":{"type":2,"data":[]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"x","nsp":"/"}`,
		`{"type":3,"data":{"packet":{"type":3,"data":["e"]},"opts":{"rooms":[],"except":[]}},"uid":"x","nsp":"/"}`,
		`{"type":3,"data":{"packet":{"type":2,"data":["connect"]},"opts":{"rooms":[],"except":[]}},"uid":"x","nsp":"/"}`,
		"\x93\xa1x\x83\xa4type\x02\xa4data\x90\xa3nsp\xa1/\x83\xa5rooms\x90\xa6except\x90\xa5flags\x80", // without an event's name
		"\x93\xa1x\x80\x80", "\x90", "\x80", "\xc1", "\xff", "\xdd\xff\xff\xff\xff", "\xdf\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff",
		strings.Repeat("\x91", 100_000), strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000),
	}
}

// TestGarbage sends servers in Go what no server sends: CF-1, CF-3, CAP-F-7. All that comes
// afterwards still arrives.
func TestGarbage(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		if len(v.options) > 0 {
			continue // one of each adapter is enough
		}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			addr := redistest.Start(t).Addr
			c := newCluster(t, v)
			c.faulty = true // messages are refused
			for _, name := range []string{"a", "b", "c"} {
				c.members = append(c.members, c.startGoRedisServer(t, name, addr, nil))
			}
			c.populate(t)
			at := c.positions()
			client := redis.NewClient(&redis.Options{Addr: addr})
			defer client.Close()
			c.sendGarbage(t, client)
			for _, m := range c.members {
				c.markAll(t)
				c.ready(t, m, "/", 2)
				do := command{Op: "emit", NS: "/", Args: with("after", blob{1}), To: []any{"r1"}}
				wantHeard(t, c.hear(t, m, do), canonical(do.Args), each(c.members, "1 2"))
			}
			for name, position := range at {
				for _, event := range c.diary.since(received(name), position) {
					if !strings.HasPrefix(event, `["marker `) && !strings.HasPrefix(event, `["e","after"`) {
						t.Errorf("%s received %s", name, event)
					}
				}
			}
			for name := range c.clients {
				if why := c.diary.since(disconnected(name), 0); len(why) > 0 {
					t.Errorf("%s is disconnected: %s", name, why)
				}
			}
		})
	}
}

// sendGarbage sends it over each channel and stream that somebody listens to.
func (c *cluster) sendGarbage(t *testing.T, client *redis.Client) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	channels, err := client.PubSubChannels(t.Context(), "*").Result()
	must(err)
	shardChannels, err := client.PubSubShardChannels(t.Context(), "*").Result()
	must(err)
	streamKeys, err := client.Keys(t.Context(), "*").Result()
	must(err)
	if c.variant.adapter == classic { // over a pattern
		key, _, _ := strings.Cut(channels[0], "#")
		key, _, _ = strings.Cut(key, "-re")
		channels = append(channels, key+"#/#", key+"#/#r1#", key+"#/#r2", key+"#/")
	}
	pipe := client.Pipeline()
	for _, message := range garbage() {
		for _, channel := range channels {
			pipe.Publish(t.Context(), channel, message)
		}
		for _, channel := range shardChannels {
			pipe.SPublish(t.Context(), channel, message)
		}
		for _, stream := range streamKeys {
			for _, fields := range []map[string]any{
				{"x": message},
				{"uid": "x", "nsp": "/", "type": "3", "data": message},
				{"uid": "x", "nsp": "/", "type": message},
				{"uid": "x", "nsp": "/", "type": "3"},
				{"nsp": message, "type": "3", "data": "{}"},
			} {
				pipe.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: fields})
			}
		}
	}
	_, err = pipe.Exec(t.Context())
	must(err)
	t.Logf("%d messages over %q, %q and %q", len(garbage()), channels, shardChannels, streamKeys)
}
