package main

import (
	"context"
	"encoding/json"
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
	flaws      atomic.Int64 // of units, or instead of them: what a tolerant run counts
	finished   atomic.Int64 // clients that got all answers
	cyclic     bool         // units are cycles
	fanout     int          // deliveries of one message, if a server sends it to several clients
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
	return r.withinOr(func() error { return fmt.Errorf("%s took longer than %s", what, r.patience) })
}

// withinOr is that with an error of its own.
func (r *run) withinOr(err func() error) (done func()) {
	t := time.AfterFunc(r.patience, func() { r.fail(err()) })
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
	from := r.sample(ctx)
	wait(ctx, r.dur)
	r.since(ctx, from)
	r.stop.Store(true)
	if r.tolerant {
		r.leave(ctx)
		return
	}
	defer r.within("the last answers")()
	r.clientsEnd.Wait()
}

// A sample is the state of what is counted at one time.
type sample struct {
	at                    time.Time
	server, load, machine time.Duration // server is of all servers
	units, flaws          int64

	collections float64 // of garbage, in all servers

	servers []time.Duration // of each
	redis   redisSample
}

func (r *run) sample(ctx context.Context) sample {
	s := sample{redis: r.sampleRedis(), collections: r.collections(ctx)}
	for i := range r.servers {
		s.servers = append(s.servers, r.cpuTime(i))
		s.server += s.servers[i]
	}
	var err1, err2 error
	s.load, err1 = cpuTime(os.Getpid())
	s.machine, err2 = machineTime()
	r.check(errors.Join(err1, err2))
	s.at, s.units, s.flaws = time.Now(), r.units.Load(), r.flaws.Load()
	return s
}

// cpuTime returns the CPU time of one server.
func (r *run) cpuTime(server int) time.Duration {
	d, err := cpuTime(r.servers[server].pid)
	r.check(err)
	return d
}

// since takes the values that most scenarios have, for the time since a sample.
func (r *run) since(ctx context.Context, from sample) {
	to := r.sample(ctx)
	wall := to.at.Sub(from.at).Seconds()
	server, load, redis := to.server-from.server, to.load-from.load, to.redis.cpu-from.redis.cpu
	if units := float64(to.units - from.units); units > 0 {
		r.values["cpu_us"] = micros(server) / units
		r.values["per_s"] = units / wall
		r.values["gc_per_million"] = (to.collections - from.collections) / units * 1e6
		r.sinceInCluster(from, to)
	}
	r.flawsSince(from, to)
	r.values["load_cores"] = load.Seconds() / wall
	r.values["other_cores"] = max(0, (to.machine-from.machine-server-load-redis).Seconds()/wall)
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

// quiet waits until the servers have nothing left to do, and returns their CPU time.
func (r *run) quiet(ctx context.Context) time.Duration {
	for last := time.Duration(0); ; wait(ctx, 20*jiffy) {
		now := time.Duration(0)
		for i := range r.servers {
			now += r.cpuTime(i)
		}
		if now-last <= 2*jiffy || ctx.Err() != nil {
			return now
		}
		last = now
	}
}

// resident returns how much memory the servers occupy.
func (r *run) resident() (sum float64) {
	for _, s := range r.servers {
		n, err := residentBytes(s.pid)
		r.check(err)
		sum += n
	}
	return sum
}

// collected is that after the servers have freed what they can.
func (r *run) collected(ctx context.Context) float64 {
	for _, s := range r.servers {
		r.check(s.collect(ctx))
	}
	return r.resident()
}

func (s endpoint) collect(ctx context.Context) error {
	_, err := s.control(ctx, "/bench/gc")
	return err
}

// collections returns how often the servers have collected garbage.
func (r *run) collections(ctx context.Context) (sum float64) {
	for _, s := range r.servers {
		b, err := s.control(ctx, "/bench/collections")
		var n float64
		if err == nil {
			err = json.Unmarshal(b, &n)
		}
		r.check(err)
		sum += n
	}
	return sum
}

// control asks a server what has nothing to do with the load.
func (s endpoint) control(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Close = true // leaves no connection behind
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || len(b) == 0) {
		err = fmt.Errorf("%s answered %s with %d bytes", path, res.Status, len(b))
	}
	return b, err
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

// take stores percentiles in values, in microseconds, and forgets all.
func (t *times) take(values map[string]float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.all)
	for key, permille := range map[string]int{"p50_us": 500, "p99_us": 990, "p999_us": 999} {
		if n := len(t.all); n > 0 {
			values[key] = micros(t.all[n*permille/1000])
		}
	}
	t.all = t.all[:0]
}
