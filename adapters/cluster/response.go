package cluster

import (
	"fmt"

	"github.com/sioplug/sioplug/core/adapter"
)

// receiveResponse takes a response of another server.
func (n *namespace) receiveResponse(p *Packet) {
	if p.To != "" && p.To != n.link.self {
		return
	}
	n.mu.Lock()
	r := n.requests[p.RequestID]
	n.mu.Unlock()
	if r == nil {
		return
	}
	if err := r.receive(p); err != nil {
		n.link.Refused(err)
	}
}

// receive takes a response. Ask passes it on, so that the broker does not wait for the
// application.
func (r *request) receive(p *Packet) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, done := r.finished[p.From]; done {
		return nil
	}
	reply := adapter.Reply{}
	if p.Reply != nil {
		reply = *p.Reply
	}
	reply.Server = p.From
	switch p.Type { //nolint:exhaustive // no other type is a response
	case Answer:
		if r.parts[p.From]++; p.Done {
			r.finishLocked(p)
		}
		if p.Reply == nil {
			r.signal()
			return nil
		}
	case FetchSocketsResponse:
		reply.Clients = len(reply.Sockets)
		r.answered++
	case ServerSideEmitResponse:
		r.answered++
	case BroadcastClientCount:
		if p.Clients < 0 || p.Clients > maxExpected {
			return fmt.Errorf("cluster: server %q has %d clients to answer", p.From, p.Clients)
		}
		r.answered++
		r.acks += p.Clients
		reply.Expected = make([]string, p.Clients)
	case BroadcastAck:
		r.acks--
	default:
		return nil
	}
	r.inbox = append(r.inbox, &reply)
	r.signal()
	return nil
}

// finishLocked notes that a server of this module has answered in full. If a part of the
// answer was lost, it has not. But who waits without a limit does not wait for what nobody
// will send: it knows which clients have not answered.
func (r *request) finishLocked(last *Packet) {
	id := last.From
	if r.limited && last.Part > r.parts[id] {
		return
	}
	r.finished[id] = struct{}{}
	delete(r.parts, id)
	if _, named := r.asked[id]; !named {
		r.answered++ // it had not been heard of when the others were counted
	}
	delete(r.named, id)
}

// wakeRequests makes the requests of a namespace look who is still in it.
func (l *link) wakeRequests(name string) {
	go func() { // ends at once; the caller may hold locks
		if n := l.cluster.namespace(l, name); n != nil {
			n.strikeOff()
		}
	}()
}

// strikeOff makes requests not wait for servers that have left, and ends the answers to
// them.
func (n *namespace) strikeOff() {
	n.mu.Lock()
	requests := make([]*request, 0, len(n.requests))
	for _, r := range n.requests {
		requests = append(requests, r)
	}
	n.mu.Unlock()
	for _, r := range requests {
		r.strikeOff()
	}
}

// forget ends what the server does for another one that has left.
func (l *link) forget(id string) {
	go func() { // ends at once; the caller may hold locks
		l.cluster.mu.RLock()
		all := make([]*namespace, 0, len(l.cluster.spaces))
		for _, n := range l.cluster.spaces {
			all = append(all, n)
		}
		l.cluster.mu.RUnlock()
		for _, n := range all {
			n.strikeOff()
			n.cancelAnswersTo(id)
		}
	}()
}
