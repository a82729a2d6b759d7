package natsadapter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/sharedlog"
)

// inStream reports whether a packet goes through the stream: all for the servers of a namespace
// do, requests too, so that everything has one order.
func inStream(p *cluster.Packet) bool {
	return p.Namespace != "" && (!p.Type.IsResponse() || p.To == "")
}

// An outcome is what has become of a packet.
type outcome struct {
	packet *cluster.Packet
	state  packetState
	token  string         // of the request to store it
	answer chan *nats.Msg // nil if the packet is not for the stream
}

type packetState uint8

const (
	unknownState  packetState = iota // it may be in the stream
	takenState                       // it is, or was sent without
	refusedState                     // it is not: JetStream does not work
	rejectedState                    // it is not, because of the packet itself
)

// send publishes packets, as [sender.send] does. It waits until JetStream has stored those that
// are for the stream. What JetStream refuses is sent outside of the stream, and so is all that
// follows until it works again. What may have been stored is not sent again.
func (j *jetStream) send(ctx context.Context, packets []*cluster.Packet) (taken, lost int, err error) {
	if j.nc.Status() != nats.CONNECTED {
		return 0, 0, errNotConnected
	}
	if err := j.awaitReady(ctx); err != nil {
		return 0, 0, err
	}
	j.sending.Lock()
	defer j.sending.Unlock()
	if j.usableErr() != nil && slices.ContainsFunc(packets, inStream) {
		j.direct = true // until there is a fence
	}
	if j.direct {
		return j.sendOutside(ctx, packets)
	}
	at := j.sent.position()
	b, err := j.store(ctx, at, packets)
	for started := time.Now(); b.reason != nil && !b.timeout && err == nil && time.Since(started) < j.opts.AckTimeout; {
		j.pokeReader() // perhaps there is no stream
		j.pause()      // perhaps a leader is being elected
		var again batch
		again, err = j.store(ctx, at, b.refused)
		again.taken, again.lost, again.rejected = again.taken+b.taken, again.lost+b.lost, cmp.Or(again.rejected, b.rejected)
		b = again
	}
	if b.reason == nil || err != nil {
		return b.taken, b.lost + len(b.refused), cmp.Or(err, b.rejected)
	}
	j.beginDirect(b.reason)
	also, _, err := j.sendOutside(ctx, b.refused)
	return b.taken + also, b.lost + len(b.refused) - also, err
}

// A batch is what has become of packets.
type batch struct {
	taken, lost int
	refused     []*cluster.Packet // by JetStream, because of reason
	reason      error
	timeout     bool  // it did not answer
	rejected    error // why a packet was lost that JetStream does not take
}

// store publishes packets. err is why nats.go does not take the others, or why it is not known
// what has become of them.
func (j *jetStream) store(ctx context.Context, at position, packets []*cluster.Packet) (b batch, err error) {
	list := make([]outcome, len(packets))
	n := 0
	var failed error
	for ; n < len(packets) && failed == nil; n++ {
		list[n], failed = j.publish(packets[n])
		if o := &list[n]; o.answer != nil {
			defer j.requests.end(o.token)
		}
	}
	if failed != nil {
		n--
	}
	if n > 0 {
		if err := j.sent.confirm(ctx, at); err != nil {
			return batch{lost: n}, err
		}
	}
	b, err = j.settle(ctx, at, list[:n])
	if err == nil && failed != nil {
		if !notSent(failed) {
			b.lost++
		}
		err = failed
	}
	return b, err
}

// awaitReady waits until the stream was looked at.
func (j *jetStream) awaitReady(ctx context.Context) error {
	select {
	case <-j.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// publish gives a packet to nats.go.
func (j *jetStream) publish(p *cluster.Packet) (o outcome, err error) {
	o.packet, o.state = p, takenState
	if !inStream(p) {
		return o, j.sent.publish(p)
	}
	if err := j.sent.encode(p); err != nil {
		return o, err
	}
	if log := j.logOf(p); log != nil {
		log.Sending(p.Message, contentOf(j.sent.scratch))
	}
	o.answer, o.state = make(chan *nats.Msg, 1), unknownState
	o.token = j.requests.begin(o.answer)
	return o, j.sent.give(j.stored(p.Namespace), j.inbox(j.self, o.token))
}

// logOf returns the log that has the message of a packet, nil if there is none.
func (j *jetStream) logOf(p *cluster.Packet) *sharedlog.Log {
	if p.Message == nil || p.RequestID != "" || !sharedlog.InLog(p.Message) {
		return nil
	}
	return j.logs.Log(p.Namespace)
}

func contentOf(data []byte) uint64 { return sharedlog.ContentOf("", string(data)) }

// settle waits for the answers of JetStream.
func (j *jetStream) settle(ctx context.Context, at position, list []outcome) (b batch, err error) {
	b, err = j.await(ctx, at, list)
	last := -1 // that was stored
	for i := range list {
		if list[i].answer != nil && list[i].state == takenState {
			last = i
		}
	}
	for i := range list {
		switch o := &list[i]; {
		case o.state == takenState:
			b.taken++
		case o.state == refusedState && i > last: // others would get earlier ones too late
			b.refused = append(b.refused, o.packet)
		default:
			b.lost++
		}
	}
	if last == len(list)-1 { // it works again
		b.reason = nil
	}
	return b, err
}

// ackCheck is how often the connection is looked at while answers are awaited.
const ackCheck = 100 * time.Millisecond

// await waits for the answers of JetStream.
func (j *jetStream) await(ctx context.Context, at position, list []outcome) (b batch, err error) {
	timeout := time.NewTimer(j.opts.AckTimeout)
	defer timeout.Stop()
	check := time.NewTicker(ackCheck)
	defer check.Stop()
	for i := range list {
		for o := &list[i]; o.answer != nil && o.state == unknownState; {
			select {
			case m := <-o.answer:
				b.note(o, j.opts.ackError(m))
			case <-check.C:
				if j.nc.Status() != nats.CONNECTED || j.nc.Stats().Reconnects != at.connects {
					return b, errReconnected
				}
			case <-timeout.C:
				b.reason, b.timeout = fmt.Errorf("%w within %v", errNotStored, j.opts.AckTimeout), true
				return b, nil
			case <-ctx.Done():
				return b, ctx.Err()
			}
		}
	}
	return b, nil
}

// note notes the answer of JetStream to a packet.
func (b *batch) note(o *outcome, err error) {
	var api *apiError
	switch {
	case err == nil:
		o.state = takenState
	case errors.As(err, &api) && api.Code == codeBadRequest:
		o.state = rejectedState
		b.rejected = fmt.Errorf("%w: %w", cluster.ErrTooLarge, err)
	default:
		o.state = refusedState
		b.reason = err
	}
}

var errNotStored = errors.New("it has not stored a message")

const codeBadRequest = 400

// beginDirect notes that JetStream does not work, and tells it.
func (j *jetStream) beginDirect(reason error) {
	j.direct = true
	j.noteOutside(j.self)
	j.tell(fmt.Errorf("%w: %w", errNoStream, reason))
}

// sendOutside sends packets over core NATS. Own clients get their messages now: they are not in
// the stream.
func (j *jetStream) sendOutside(ctx context.Context, packets []*cluster.Packet) (taken, lost int, err error) {
	if len(packets) == 0 {
		return 0, 0, nil
	}
	for _, p := range packets {
		if inStream(p) {
			j.noteOutside(j.self)
		}
		if log := j.logOf(p); log != nil {
			log.Unstored(p.Message)
		}
	}
	return j.sent.send(ctx, packets)
}
