package natsadapter

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// errTooSlow is reported when messages were dropped.
var errTooSlow = errors.New("natsadapter: messages of other servers were dropped, because this server reads them too slowly")

// A watch is what the goroutine that subscribes knows.
type watch struct {
	subs     map[string]*nats.Subscription // by subject
	joined   map[string]struct{}           // namespaces that were subscribed to, which was not confirmed
	connects uint64                        // how often nats.go had connected again, when all was well
	wasUp    bool                          // it was, once
	told     bool                          // that packets do not arrive
	seen     error                         // the last error of the connection that is known
	denied   time.Time                     // when NATS refused a subscription; zero if it did not
}

// retryInterval is how often subscriptions that were refused are tried again.
const retryInterval = 5 * time.Second

// run subscribes, and watches the connection.
func (b *broker) run() {
	w := &watch{subs: make(map[string]*nats.Subscription), joined: make(map[string]struct{})}
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	events := b.nc.StatusChanged()
	defer b.nc.RemoveStatusListener(events)
	b.mu.Lock()
	b.addLocked(b.servers())
	b.addLocked(b.inbox(b.self, "*"))
	if b.js != nil {
		b.addLocked(b.prefix + toAgain + ">")
	}
	b.mu.Unlock()
	for b.ctx.Err() == nil {
		b.step(w)
		select {
		case <-b.wake:
		case _, ok := <-events:
			if !ok { // there is the tick
				events = nil
			}
		case <-tick.C:
			if b.pending.hasDropped() {
				b.call(func() { b.in.Missed(errTooSlow) })
			}
			if b.js != nil {
				b.js.checkDropped()
			}
		case <-b.ctx.Done():
		}
	}
	for _, sub := range w.subs {
		_ = sub.Unsubscribe() // which fails if the connection is closed
	}
}

// step does what there is to do.
func (b *broker) step(w *watch) {
	if s := b.nc.Status(); s != nats.CONNECTED {
		b.down(w, fmt.Errorf("%w: it is %s", errNotConnected, strings.ToLower(s.String())))
		return
	}
	connects := b.nc.Stats().Reconnects
	if !w.denied.IsZero() && connects == w.connects {
		if time.Since(w.denied) < retryInterval {
			return
		}
		b.renew(w)
	}
	w.denied = time.Time{}
	changed, err := b.apply(w)
	if err != nil {
		b.down(w, err)
		return
	}
	if !changed && !w.told && w.wasUp && connects == w.connects {
		return
	}
	if err := flush(b.ctx, b.nc); err != nil {
		b.down(w, err)
		b.poke()
		return
	}
	if b.nc.Stats().Reconnects != connects {
		b.poke() // once more
		return
	}
	if err := b.violation(b.nc, w.seen); err != nil && strings.Contains(err.Error(), "Subscription") {
		w.seen, w.denied, w.connects = b.nc.LastError(), time.Now(), connects
		b.down(w, err)
		return
	}
	b.confirm(w, connects)
}

// apply subscribes to what is wanted, and to nothing else.
func (b *broker) apply(w *watch) (changed bool, err error) {
	wanted := b.changes(w)
	for subject, want := range wanted {
		sub := w.subs[subject]
		switch {
		case want && sub == nil:
			sub, err = b.nc.ChanSubscribe(subject, b.messages(subject))
			if err == nil {
				w.subs[subject] = sub
			}
		case !want && sub != nil:
			delete(w.subs, subject)
			err = sub.Unsubscribe()
		default:
			continue
		}
		changed = true
		if err != nil {
			b.mu.Lock()
			for subject := range wanted {
				b.noteLocked(subject)
			}
			b.mu.Unlock()
			return changed, fmt.Errorf("natsadapter: subscribing: %w", err)
		}
	}
	return changed, nil
}

// changes returns the subjects that may have to be subscribed to, or not any more, and whether they
// are wanted.
func (b *broker) changes(w *watch) map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all {
		b.all = false
		for subject := range b.wanted {
			b.dirty[subject] = struct{}{}
		}
		for subject := range w.subs {
			b.dirty[subject] = struct{}{}
		}
	}
	wanted := make(map[string]bool, len(b.dirty))
	for subject := range b.dirty {
		_, wanted[subject] = b.wanted[subject]
	}
	b.dirty = make(map[string]struct{})
	for namespace := range w.joined {
		if b.spaces[namespace] == nil { // this server has left it meanwhile
			delete(w.joined, namespace)
		}
	}
	maps.Copy(w.joined, b.joined)
	clear(b.joined)
	return wanted
}

// messages returns where the messages of a subscription go.
func (b *broker) messages(subject string) chan *nats.Msg {
	if rest := strings.TrimPrefix(subject, b.prefix); b.js != nil && (strings.HasPrefix(rest, toAgain) || strings.HasPrefix(rest, toNamespace)) {
		return b.js.entries.msgs
	}
	return b.pending.msgs
}

// renew subscribes to everything again.
func (b *broker) renew(w *watch) {
	for subject, sub := range w.subs {
		_ = sub.Unsubscribe()
		delete(w.subs, subject)
		b.mu.Lock()
		b.noteLocked(subject)
		b.mu.Unlock()
	}
}

// down says that packets of others do not arrive.
func (b *broker) down(w *watch, err error) {
	b.setUp(false)
	if !w.told {
		w.told = true
		b.call(func() { b.in.Disconnected(err) })
	}
}

// confirm says that the subscriptions are in effect. connects is how often nats.go had
// connected again before.
func (b *broker) confirm(w *watch, connects uint64) {
	if w.wasUp && connects != w.connects { // which nobody has noticed
		b.down(w, errReconnected)
	}
	w.connects = connects
	b.maxBytes.Store(b.nc.MaxPayload())
	if b.setUp(true) {
		missed := w.wasUp && b.js == nil // the reader of the stream knows better
		w.wasUp, w.told = true, false
		b.call(func() { b.in.Connected(missed) })
		if b.js != nil {
			b.js.pokeReader()
		}
	}
	for namespace := range w.joined {
		b.call(func() { b.in.Subscribed(namespace) })
	}
	clear(w.joined)
}
