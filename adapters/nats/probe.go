package natsadapter

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// The last tokens of the subjects of a server's inbox. Numbers are the results of its probes.
const (
	answerTo = "a" // answers to its requests
	probeTo  = "p" // the question whether it is there
)

const (
	// probeTimeout is how long a server may take to say that it is there. If it does not,
	// it hangs, and has not gone.
	probeTimeout = 500 * time.Millisecond

	// maxProbes is how many probes and their answers wait for the connection.
	maxProbes = 256

	statusHeader = "Status"
	noResponders = "503"
)

// A probe is an empty message. If nobody subscribes to its subject, NATS says so at once. That
// is how a server knows of others whose connection has ended, also if they were killed.
type probe struct{ subject, reply string }

// A probes has the probes of a server.
type probes struct {
	out chan probe // to be sent

	mu      sync.Mutex
	next    uint64
	waiting map[string]chan<- verdict // by number
}

// A verdict is what has become of a probe.
type verdict struct {
	id   string
	gone bool
}

func (s *probes) init() {
	s.out, s.waiting = make(chan probe, maxProbes), make(map[string]chan<- verdict)
}

// begin returns the number of a new probe.
func (s *probes) begin(to chan<- verdict) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	n := strconv.FormatUint(s.next, 10)
	s.waiting[n] = to
	return n
}

// end returns where the verdict of a probe is waited for, once, nil if it is not.
func (s *probes) end(n string) chan<- verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.waiting[n]
	delete(s.waiting, n)
	return to
}

// Gone implements [cluster.Prober].
func (b *broker) Gone(ctx context.Context, _ string, ids []string) (list []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	verdicts := make(chan verdict, len(ids)) // each probe has one
	asked := make(map[string]string)
	for _, id := range ids {
		n := b.probes.begin(verdicts)
		defer b.probes.end(n)
		asked[n] = id
		select {
		case b.probes.out <- probe{b.inbox(id, probeTo), b.inbox(b.self, n)}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	for range ids {
		select {
		case v := <-verdicts:
			if v.gone {
				list = append(list, asked[v.id])
			}
		case <-ctx.Done():
			return list, nil // those that have not answered may be there
		}
	}
	return list, nil
}

// receiveProbe takes what comes to the inbox and is no answer to a request.
func (b *broker) receiveProbe(m *nats.Msg, last string) {
	if last == probeTo {
		if m.Reply != "" {
			select {
			case b.probes.out <- probe{subject: m.Reply}:
			default: // nobody waits for so many
			}
		}
		return
	}
	if to := b.probes.end(last); to != nil {
		to <- verdict{last, m.Header.Get(statusHeader) == noResponders}
	}
}

// sendProbes sends probes, and answers to those of others.
func (b *broker) sendProbes() {
	for {
		select {
		case p := <-b.probes.out:
			_ = b.nc.PublishRequest(p.subject, p.reply, nil) // it is asked again
		case <-b.ctx.Done():
			return
		}
	}
}
