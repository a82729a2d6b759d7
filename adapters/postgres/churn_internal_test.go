package postgresadapter

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/internal/postgrestest"
)

// A told takes the calls of a broker, and counts the confirmed subscriptions.
type told struct {
	cluster.Inbound

	subscribed chan string
}

func (told) Disconnected(error)       {}
func (told) Connected(bool)           {}
func (told) Missed(error)             {}
func (t told) Subscribed(name string) { t.subscribed <- name }

// holds returns how many channels may have to be listened to or not any more, and how many
// namespaces wait for a confirmation.
func (b *broker) holds() (dirty, joined int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.dirty), len(b.joined)
}

// Clients that made the server open and close namespaces while PostgreSQL was away or hung made it
// keep all their names.
func TestNamespacesThatComeAndGoWithoutAConnectionAreNotKept(t *testing.T) {
	t.Parallel()
	for name, trouble := range postgrestest.Outages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := postgrestest.Start(t)
			pool, err := pgxpool.New(t.Context(), s.URL)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(pool.Close)
			const names, live = 20_000, 50
			in := told{subscribed: make(chan string, 2*names)}
			b := newBroker(pool, newChannels("New", ""), newTable("New", ""), Options{CleanupInterval: time.Hour, ReadTimeout: time.Minute, MaxPendingBytes: 1 << 20})
			b.Start("me", in)
			t.Cleanup(func() { _ = b.Close() })
			b.Subscribe("/")
			if got := <-in.subscribed; got != "/" {
				t.Fatalf("%s is confirmed", got)
			}
			end := trouble(s)
			for i := range names {
				b.Subscribe(fmt.Sprint("/space", i))
				if i >= live {
					b.Unsubscribe(fmt.Sprint("/space", i-live))
				}
				if dirty, joined := b.holds(); dirty > 1+live+1+maxDirty || joined > live+1 {
					end()
					t.Fatalf("after %d names, %d channels are dirty, %d namespaces have joined", i, dirty, joined)
				}
			}
			end()
			b.Subscribe("/last")
			for <-in.subscribed != "/last" { //nolint:revive // each receive is a step
			}
			b.mu.Lock()
			listening, spaces := slices.Sorted(maps.Keys(b.listening)), slices.Sorted(maps.Keys(b.spaces))
			b.mu.Unlock()
			if len(spaces) != 2+live || !slices.Equal(listening, spaces) { // with "/" and "/last"
				t.Errorf("it listens to %d channels, and has %d namespaces", len(listening), len(spaces))
			}
			if dirty, joined := b.holds(); dirty+joined > 0 {
				t.Errorf("%d channels are dirty, %d namespaces have joined", dirty, joined)
			}
		})
	}
}
