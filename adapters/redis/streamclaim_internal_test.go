package redisadapter

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/redistest"
)

// Whoever has a session in one namespace cannot get into another one with it: middleware does
// not run for clients that continue a session.
func TestSessionsOfAnotherNamespaceCannotBeClaimed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	t.Cleanup(func() { _ = client.Close() })
	p := newStreamPeer(t, client, "stream", "self", 100)
	p.logs.LocalWait = time.Minute // however busy the machine is
	public, admin := p.logs.open("/", time.Minute), p.logs.open("/admin", time.Minute)
	p.logs.Joined("/", p)
	offsets := make(chan string, 1)
	m := &adapter.Message{Kind: adapter.Broadcast, Data: []byte(`["n"]`)}
	if err := public.Append(m, func(offset string) { offsets <- offset }); err != nil {
		t.Fatal(err)
	}
	offset := <-offsets
	official, err := (&streamSession{SID: "S", PID: "official", Rooms: []string{"S"}}).encode()
	if err != nil {
		t.Fatal(err)
	}
	save := func() {
		t.Helper()
		s := &adapter.Session{ID: "S", PID: "ours", From: offset, Complete: offset, Left: offset}
		if err := public.Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := client.Set(t.Context(), "sio:session:official", base64.StdEncoding.EncodeToString(official), time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, pid := range []string{"ours", "official"} {
		save()
		if s, err := admin.Claim(t.Context(), pid, offset); !errors.Is(err, adapter.ErrUnknownSession) {
			t.Errorf("%s: %+v, %v", pid, s, err)
		}
		save()
		if _, err := public.Claim(t.Context(), pid, offset); err != nil {
			t.Errorf("%s: %v", pid, err)
		}
	}
}
