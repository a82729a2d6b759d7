package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A run is one scenario against one server.
type run struct {
	options

	fail       context.CancelCauseFunc // ends the run, with the reason
	clientsEnd sync.WaitGroup
	stop       atomic.Bool  // clients finish what they have begun, and no more
	units      atomic.Int64 // messages, deliveries or cycles so far
	values     map[string]float64
}

// handshakes is how many clients connect at the same time.
const handshakes = 64

// open connects all clients, and then runs work for each on a goroutine of its
// own. An error of any of them ends the run.
func open[P peer](ctx context.Context, r *run, connect func(ctx context.Context, id int) (P, error),
	work func(id int, p P) error,
) ([]P, error) {
	defer r.within("connecting")()
	var ready sync.WaitGroup
	ready.Add(r.clients)
	peers := make([]P, r.clients)
	places := make(chan struct{}, handshakes)
	for id := range r.clients {
		r.clientsEnd.Go(func() {
			places <- struct{}{}
			p, err := connect(ctx, id)
			<-places
			peers[id] = p
			ready.Done()
			if err == nil {
				err = work(id, p)
			}
			if err != nil {
				r.fail(fmt.Errorf("client %d: %w", id, err))
			}
		})
	}
	ready.Wait()
	return peers, context.Cause(ctx)
}

// within ends the run unless the function that it returns is called soon enough.
func (r *run) within(what string) (done func()) {
	t := time.AfterFunc(r.patience, func() { r.fail(fmt.Errorf("%s took longer than %s", what, r.patience)) })
	return func() { t.Stop() }
}

// finish measures clients that work until r.stop, and sees to it that they get all
// that they wait for.
func (r *run) finish(ctx context.Context) error {
	if err := wait(ctx, r.warm); err != nil {
		return err
	}
	from, err := r.sample()
	if err != nil {
		return err
	}
	if err := wait(ctx, r.dur); err != nil {
		return err
	}
	if err := r.since(from); err != nil {
		return err
	}
	r.stop.Store(true)
	defer r.within("the last answers")()
	r.clientsEnd.Wait()
	return context.Cause(ctx)
}

// A sample is the state of what is counted at one time.
type sample struct {
	at                    time.Time
	server, load, machine time.Duration
	units                 int64
}

func (r *run) sample() (s sample, err error) {
	if s.server, err = cpuTime(r.pid); err != nil {
		return s, err
	}
	if s.load, err = cpuTime(os.Getpid()); err != nil {
		return s, err
	}
	s.machine, err = machineTime()
	s.at, s.units = time.Now(), r.units.Load()
	return s, err
}

// since takes the values that most scenarios have, for the time since a sample.
func (r *run) since(from sample) error {
	to, err := r.sample()
	if err != nil {
		return err
	}
	wall := to.at.Sub(from.at).Seconds()
	server, load := to.server-from.server, to.load-from.load
	if units := float64(to.units - from.units); units > 0 {
		r.values["cpu_us"] = micros(server) / units
		r.values["per_s"] = units / wall
	}
	r.values["load_cores"] = load.Seconds() / wall
	r.values["other_cores"] = max(0, (to.machine-from.machine-server-load).Seconds()/wall)
	return nil
}

// times are durations that were measured.
type times struct {
	mu  sync.Mutex
	all []time.Duration
}

func (t *times) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, d)
}

// take returns the median and the 99th percentile, in microseconds, and forgets all.
func (t *times) take() (p50, p99 float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) == 0 {
		return 0, 0
	}
	slices.Sort(t.all)
	p50, p99 = micros(t.all[len(t.all)/2]), micros(t.all[len(t.all)*99/100])
	t.all = t.all[:0]
	return p50, p99
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// wait waits, unless the run ends before.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// quiet waits until the server has nothing left to do.
func (r *run) quiet(ctx context.Context) error {
	const period, few = 200 * time.Millisecond, 2 * tick
	last, err := cpuTime(r.pid)
	for err == nil {
		if err = wait(ctx, period); err != nil {
			return err
		}
		before := last
		if last, err = cpuTime(r.pid); last-before <= few {
			return err
		}
	}
	return err
}

// collected has the server free what it can, and returns what it occupies then.
func (r *run) collected(ctx context.Context) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+"/bench/gc", http.NoBody)
	if err != nil {
		return 0, err
	}
	req.Close = true // no connection of ours stays open
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || len(b) == 0) {
		err = fmt.Errorf("/bench/gc answered %s with %d bytes", res.Status, len(b))
	}
	if err != nil {
		return 0, err
	}
	return residentBytes(r.pid)
}
