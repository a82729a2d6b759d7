package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/sioplug/sioplug/internal/rescue"
)

// strikeOff removes servers that have been silent for too long, if it is not the broker that
// is silent.
func (p *presence) strikeOff() {
	timeout := p.link.cluster.opts.HeartbeatTimeout
	var struck []error
	p.mu.Lock()
	if time.Since(p.heard) < p.link.cluster.opts.HeartbeatInterval+2*checkInterval {
		for id, o := range p.others {
			if time.Since(o.seen) > timeout {
				if o.introduced {
					struck = append(struck, &StruckOffError{ID: id, Name: o.name})
				}
				p.removeLocked(id)
			}
		}
		p.strikeOffOfficialsLocked()
	}
	p.mu.Unlock()
	for _, err := range struck {
		p.link.cluster.report(err)
	}
}

// probe asks the broker which servers are not connected with it any more, and strikes them
// off.
func (p *presence) probe(ctx context.Context) {
	prober, ok := p.link.broker.(Prober)
	if !ok {
		return
	}
	for namespace, ids := range p.places() {
		p.strike(ctx, prober, namespace, ids)
	}
}

// back reports whether all servers that were in a namespace with this one are connected with
// the broker again, as far as it can tell, and whether the broker answers.
func (p *presence) back(ctx context.Context) (back, answers bool) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	place, others := p.place()
	if len(others) == 0 {
		return true, true
	}
	switch broker := p.link.broker.(type) {
	case Counter:
		all := 0
		err := rescue.Call(func() (err error) {
			all, err = broker.Count(ctx, place)
			return err
		})
		return err == nil && all > len(others), err == nil
	case Prober:
		var gone []string
		err := rescue.Call(func() (err error) {
			gone, err = broker.Gone(ctx, place, others)
			return err
		})
		return err == nil && len(gone) == 0, err == nil
	default:
		return true, true
	}
}

// place returns the namespace that this server shares with most others, and these.
func (p *presence) place() (name string, others []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in := make(map[string][]string)
	for id, o := range p.others {
		for namespace := range o.namespaces {
			if _, own := p.own[namespace]; own {
				in[namespace] = append(in[namespace], id)
			}
		}
	}
	for namespace, ids := range in {
		if len(ids) > len(others) {
			name, others = namespace, ids
		}
	}
	return name, others
}

// places returns all others by a namespace that they are in, the root namespace if they are
// in that.
func (p *presence) places() map[string][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	places := make(map[string][]string)
	for id, o := range p.others {
		if _, in := o.namespaces[root]; in {
			places[root] = append(places[root], id)
			continue
		}
		for namespace := range o.namespaces {
			places[namespace] = append(places[namespace], id)
			break
		}
	}
	return places
}

// strike notes that servers which the broker does not know in a namespace have left it. It
// strikes off those that are in no other one, or have left the root. If the broker has just
// come back, they get some time.
func (p *presence) strike(ctx context.Context, prober Prober, namespace string, ids []string) {
	if p.link.disturbed() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	var gone []string
	err := rescue.Call(func() (err error) {
		gone, err = prober.Gone(ctx, namespace, ids)
		return err
	})
	if err != nil || len(gone) == 0 {
		return // those that are gone are silent, too
	}
	var struck []error
	p.mu.Lock()
	for _, id := range gone {
		o := p.others[id]
		if o == nil {
			continue
		}
		delete(o.namespaces, namespace)
		o.complete = false // so that the server is asked if it is there after all
		if len(o.namespaces) == 0 || namespace == root {
			if o.introduced {
				struck = append(struck, &StruckOffError{ID: id, Name: o.name})
			}
			p.removeLocked(id)
		}
	}
	p.mu.Unlock()
	p.link.wakeRequests(namespace)
	for _, err := range struck {
		p.link.cluster.report(err)
	}
}

// A StruckOffError says that a server was silent for [Options.HeartbeatTimeout], or has lost
// its connection with the broker, and is not a member of the cluster any more. If it comes
// back, it is one again.
type StruckOffError struct{ ID, Name string }

// Error implements error.
func (e *StruckOffError) Error() string {
	return fmt.Sprintf("cluster: server %s (%s) is gone or silent, and was struck off", e.ID, e.Name)
}
