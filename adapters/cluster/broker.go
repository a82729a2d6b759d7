package cluster

import (
	"context"
	"errors"
)

// A Broker carries packets between the servers of a cluster. It is all that is different
// from one message broker to another. The cluster makes one when a server joins the first
// namespace, and closes it when the server has left the last one.
type Broker interface {
	// Start is called once, before any other method. It does not wait for the network,
	// nor call in: its goroutines do. self is the id of this server. From then on, the broker calls in.
	//
	// Packets without a namespace go to all servers that use this module, to this one
	// as well. Official servers must not get them, unless they know these types.
	Start(self string, in Inbound)

	// Subscribe makes the broker pass on the packets of a namespace, Unsubscribe makes it
	// stop. For each namespace the two alternate. They do not wait for the network, nor
	// call in. The broker calls [Inbound.Subscribed] from a goroutine of its own when
	// the subscription has taken effect.
	Subscribe(namespace string)
	Unsubscribe(namespace string)

	// Publish sends packets, in order. Calls do not overlap. It waits until the broker
	// has taken them, also if that is slow, but not after the connection has failed. It
	// returns how many the broker has taken, and how many of the following ones were
	// lost or may have been. The cluster counts those as lost and does not send them
	// again: nothing may arrive twice. If there is an error, the cluster waits for a
	// while and calls Publish again with the others. A packet that cannot be encoded is
	// one of those lost. When ctx ends, Publish returns.
	Publish(ctx context.Context, packets []*Packet) (taken, lost int, err error)

	// Close ends the broker's connections and goroutines. When it returns, the broker
	// does not call in any more. The cluster calls no method afterwards, but Count may
	// still run.
	Close() error
}

// A Counter is a [Broker] that knows how many servers are in a namespace, this one
// included. Others rely on heartbeats alone.
type Counter interface {
	Count(ctx context.Context, namespace string) (int, error)
}

// A Prober is a [Broker] that knows whether servers of this module are connected with it: of
// those with these ids, all in the namespace, it returns the ones that are not. So nobody
// waits for a server that has been killed until its heartbeats are missed. Without a
// [Counter], it also says when all are connected again after the broker was lost: what waits
// in the queue is not sent before.
type Prober interface {
	Gone(ctx context.Context, namespace string, ids []string) ([]string, error)
}

// A RoomSubscriber is a [Broker] that subscribes to single rooms: see
// [adapter.RoomWatcher]. Its methods do not wait for the network. If WatchesRooms reports
// false, the others are not called.
type RoomSubscriber interface {
	WatchesRooms() bool
	RoomCreated(namespace, room string)
	RoomDeleted(namespace, room string)
}

// A Limiter is a [Broker] that takes only packets up to a size. A message that is larger is
// refused where it is published, with [ErrTooLarge], and counted as lost. If a packet turns out
// to be too large when it is encoded, Publish counts it as lost and returns an error that wraps
// ErrTooLarge: then it is called again without a pause, and the cluster stays healthy.
type Limiter interface {
	// MaxBytes returns how large an encoded packet can be, or 0 if that is not known. It
	// does not wait for the network.
	MaxBytes() int
}

// ErrTooLarge is the error of a message that the broker does not take, because of its size.
var ErrTooLarge = errors.New("cluster: the message is too large for the broker")

// Inbound is what a [Broker] calls. Its methods are safe for concurrent use and do not
// wait for the network.
type Inbound interface { //nolint:interfacebloat // each is one thing that happens
	// Receive takes a packet. The packets of one server have to arrive in the order in
	// which it published them. It ignores those of this server itself, except that
	// its heartbeats show that the broker works.
	Receive(p *Packet)

	// Refused counts a message that is no packet.
	Refused(err error)

	// Subscribed says that the subscription to a namespace has taken effect.
	Subscribed(namespace string)

	// Disconnected says that packets of others do not arrive for now, Connected that
	// they do again, or for the first time. Packets that others sent meanwhile may have
	// been missed, unless missed is false.
	Disconnected(err error)
	Connected(missed bool)

	// Missed says that packets of others were dropped although the broker is connected,
	// for example because this server is too slow. err says why. Each call is one of the
	// gaps in [adapter.Status] and makes all servers say again who they are, so there should
	// be at most one a second.
	//
	// [adapter.Status]: https://pkg.go.dev/github.com/sioplug/sioplug/core/adapter#Status
	Missed(err error)

	// Degraded says that packets are sent and arrive, but that something else which the
	// broker promises does not work for now: recovery on another server, for example. err
	// says why. It is nil when all is well again. The server is not healthy meanwhile.
	Degraded(err error)
}
