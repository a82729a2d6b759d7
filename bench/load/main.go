// Command load is the load generator of the benchmark: the clients of one
// scenario, in one process, against a server on loopback. It compares everything
// that it receives with what the server had to send, and in which order, and
// fails at the first difference. What it measures it prints as a JSON object.
//
// The server's CPU time and memory come from /proc, so it runs on Linux only.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// What a run may take, however the flags are set.
const (
	maxClients = 50_000
	maxTime    = 3 * time.Minute
)

type options struct {
	servers        []endpoint // of one cluster, if there are several
	redis          string     // address of the Redis of the cluster; empty if there is none
	clients, rooms int
	inFlight, rate int
	size, burst    int
	warm, dur      time.Duration
	settle, beats  time.Duration
	patience       time.Duration
	tolerant       bool // counts some mistakes instead of ending the run
}

// A scenario keeps the clients busy and measures. Any failure ends the run without a
// result.
type scenario func(ctx context.Context, r *run)

func scenarios() map[string]scenario {
	return map[string]scenario{
		"idle":    idle,
		"echo":    echo(textScript),
		"ack":     echo(ackScript),
		"binary":  echo(binaryScript),
		"json":    echo(jsonScript),
		"polling": pollingEcho,
		"rate":    echoAtRate,
		"bcast":   broadcastToAll,
		"rooms":   broadcastToRooms,
		"connect": connectCycles,
		"upgrade": upgradeCycles,
	}
}

func main() {
	var o options
	name := flag.String("scenario", "echo", "what the clients do")
	addrs := flag.String("addr", "127.0.0.1:3000", "address of the server, on loopback, or of all servers of a cluster, with commas between them")
	pids := flag.String("pid", "0", "process ids of the servers, in the same order")
	flag.StringVar(&o.redis, "redis", "", "address of the Redis between the servers, if its costs are to be measured too")
	flag.IntVar(&o.clients, "clients", 100, "connections, or cycles at the same time, of all servers together")
	flag.IntVar(&o.rooms, "rooms", 1, "rooms: rooms of each client")
	flag.IntVar(&o.inFlight, "inflight", 1, "messages of each client that wait for an answer")
	flag.IntVar(&o.rate, "rate", 1000, "rate: messages a second of all clients together")
	flag.IntVar(&o.size, "size", 100, "bytes of payload")
	flag.IntVar(&o.burst, "burst", 1, "bcast, rooms: messages of each broadcast")
	flag.DurationVar(&o.warm, "warm", time.Second, "time before measuring")
	flag.DurationVar(&o.dur, "dur", 3*time.Second, "time of measuring")
	flag.DurationVar(&o.settle, "settle", 5*time.Second, "idle: time between connecting and measuring")
	flag.DurationVar(&o.beats, "beats", 0, "idle: time between connecting and the end, in which heartbeats are measured if it is long enough")
	flag.DurationVar(&o.patience, "patience", time.Minute, "time in which all must be connected, answered, delivered")
	flag.BoolVar(&o.tolerant, "tolerant", false, "count answers out of order, and cycles that fail, instead of ending the run at the first one")
	flag.Parse()

	runtime.GOMAXPROCS(max(1, runtime.NumCPU()/2)) // the rest is for the server
	debug.SetGCPercent(400)
	var values map[string]float64
	var err error
	if o.servers, err = parseServers(*addrs, *pids); err == nil {
		values, err = measure(context.Background(), *name, o)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(values)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// measure runs one scenario and returns what it measured, by name.
func measure(ctx context.Context, name string, o options) (map[string]float64, error) {
	work, ok := scenarios()[name]
	if !ok {
		return nil, fmt.Errorf("no scenario is called %q", name)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxTime, errors.New("the run took too long"))
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	r := &run{options: o, fail: fail, values: map[string]float64{"clients": float64(o.clients)}}
	r.awaitCluster(ctx)
	work(ctx, r)
	err := context.Cause(ctx)
	fail(errors.New("the run is over")) // closes what is still open
	r.clientsEnd.Wait()
	return r.values, err
}

func (o options) check() error {
	if err := o.checkAddresses(); err != nil {
		return err
	}
	if o.clients < 1 || o.clients > maxClients || o.clients%len(o.servers) != 0 {
		return fmt.Errorf("-clients must be from 1 to %d, and as many for each server", maxClients)
	}
	if o.inFlight < 1 || o.rate < 1 || o.size < 1 || o.burst < 1 || o.rooms < 1 {
		return errors.New("-inflight, -rate, -size, -burst and -rooms must be positive")
	}
	if o.warm+o.dur+o.settle+o.beats > maxTime {
		return fmt.Errorf("-warm, -dur, -settle and -beats must end within %s", maxTime)
	}
	return nil
}
