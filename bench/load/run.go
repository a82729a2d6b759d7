package main

import (
	"context"
	"errors"
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

// check ends the run if there is an error.
func (r *run) check(err error) {
	if err != nil {
		r.fail(err)
	}
}

// within ends the run unless the function that it returns is called in time.
func (r *run) within(what string) (done func()) {
	t := time.AfterFunc(r.patience, func() { r.fail(fmt.Errorf("%s took longer than %s", what, r.patience)) })
	return func() { t.Stop() }
}

// handshakes is how many clients connect at the same time.
const handshakes = 64

// open connects all clients, and then runs work for each on a goroutine of its
// own. An error of any of them ends the run.
func open[P peer](ctx context.Context, r *run, connect func(ctx context.Context, id int) (P, error),
	work func(id int, p P) error,
) []P {
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
	return peers
}

// finish measures clients that work until r.stop, and sees to it that they get all
// that they wait for.
func (r *run) finish(ctx context.Context) {
	wait(ctx, r.warm)
	from := r.sample()
	wait(ctx, r.dur)
	r.since(from)
	r.stop.Store(true)
	defer r.within("the last answers")()
	r.clientsEnd.Wait()
}

// A sample is the state of what is counted at one time.
type sample struct {
	at                    time.Time
	server, load, machine time.Duration
	units                 int64
}

func (r *run) sample() sample {
	server, err1 := cpuTime(r.pid)
	load, err2 := cpuTime(os.Getpid())
	machine, err3 := machineTime()
	r.check(errors.Join(err1, err2, err3))
	return sample{time.Now(), server, load, machine, r.units.Load()}
}

// since takes the values that most scenarios have, for the time since a sample.
func (r *run) since(from sample) {
	to := r.sample()
	wall := to.at.Sub(from.at).Seconds()
	server, load := to.server-from.server, to.load-from.load
	if units := float64(to.units - from.units); units > 0 {
		r.values["cpu_us"] = micros(server) / units
		r.values["per_s"] = units / wall
	}
	r.values["load_cores"] = load.Seconds() / wall
	r.values["other_cores"] = max(0, (to.machine-from.machine-server-load).Seconds()/wall)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// wait waits, or until the run ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// quiet waits until the server has nothing left to do, and returns its CPU time.
func (r *run) quiet(ctx context.Context) time.Duration {
	for last := time.Duration(0); ; wait(ctx, 20*jiffy) {
		now, err := cpuTime(r.pid)
		r.check(err)
		if now-last <= 2*jiffy || ctx.Err() != nil {
			return now
		}
		last = now
	}
}

// resident returns how much memory the server occupies.
func (r *run) resident() float64 {
	n, err := residentBytes(r.pid)
	r.check(err)
	return n
}

// collected is that after the server has freed what it can.
func (r *run) collected(ctx context.Context) float64 {
	r.check(r.collect(ctx))
	return r.resident()
}

func (r *run) collect(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr+"/bench/gc", http.NoBody)
	if err != nil {
		return err
	}
	req.Close = true // leaves no connection behind
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || len(b) == 0) {
		err = fmt.Errorf("/bench/gc answered %s with %d bytes", res.Status, len(b))
	}
	return err
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
