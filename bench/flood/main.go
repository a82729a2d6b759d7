// Command flood measures what a flood does to those who are not part of it: 50
// clients send 20,000 chat messages in a few seconds to a server, in a process of
// its own, that broadcasts what it allows to a room of 20 others, who keep chatting:
//
//	go run ./bench/flood                 # 10 events a second for each socket
//	go run ./bench/flood -policy drop    # other policies
//	go run ./bench/flood -policy none    # without a limit, to compare
//
// It prints how long the others waited for their acks before the flood and during
// it, and the memory of the server before, during and after.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// A plan is what to do.
type plan struct {
	policy    string
	attackers int
	events    int // of all attackers
	honest    int
	rate      int // events a second of each honest client
	phase     time.Duration
}

func main() {
	var p plan
	serving := flag.Bool("serve", false, "be the server; the program starts itself in this way")
	flag.StringVar(&p.policy, "policy", "refuse", "refuse, drop, delay, disconnect or none")
	flag.IntVar(&p.attackers, "attackers", 50, "clients that flood")
	flag.IntVar(&p.events, "events", 20_000, "events that they send in all")
	flag.IntVar(&p.honest, "honest", 20, "clients that do not")
	flag.IntVar(&p.rate, "rate", 8, "events a second of each of them")
	flag.DurationVar(&p.phase, "phase", 4*time.Second, "how long the flood takes, and the time before it")
	flag.Parse()
	run := p.measure
	if *serving {
		run = func() error { return serve(p.policy) }
	}
	if err := run(); err != nil {
		slog.Error("flood failed", slog.Any("err", err))
		os.Exit(1)
	}
}

// measure starts the server, floods it, and prints what came of it.
func (p plan) measure() (err error) {
	s, err := start(p.policy)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	others := make([]*client, p.honest)
	for i := range others {
		if others[i], err = connect(s.address); err != nil {
			return err
		}
		if err := others[i].join(); err != nil {
			return err
		}
	}
	attackers := make([]*client, p.attackers)
	for i := range attackers {
		if attackers[i], err = connect(s.address); err != nil {
			return err
		}
	}
	before, err := s.stats(true)
	if err != nil {
		return err
	}
	calm, _, err := p.chat(s, others, nil)
	if err != nil {
		return err
	}
	between, err := s.stats(false)
	if err != nil {
		return err
	}
	stormy, peak, err := p.chat(s, others, attackers)
	if err != nil {
		return err
	}
	after, err := s.stats(true)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, `policy %s: %d clients send %d events in %v; %d others send %d a second each
%d events handled and %d refused; of the attackers, %d were disconnected
others, before: %v; the server used %v of CPU
others, during: %v; the server used %v of CPU
server, before: %v
server, during: %v
server, after:  %v
`, p.policy, p.attackers, p.events, p.phase, p.honest, p.rate, after.Handled-before.Handled, after.Refused, ended(attackers),
		calm, (between.CPU - before.CPU).Round(time.Millisecond), stormy, (peak.CPU - between.CPU).Round(time.Millisecond),
		before, peak, after)
	return err
}

// chat has the others chat for a phase, while the attackers flood, if there are
// any, and returns how long the others waited for acks and the most memory that
// the server used.
func (p plan) chat(s *server, others, attackers []*client) (latencies, usage, error) {
	ctx, cancel := context.WithTimeout(context.Background(), p.phase)
	defer cancel()
	var mu sync.Mutex
	var all latencies
	var errs []error
	var wg sync.WaitGroup
	for i, c := range others {
		wg.Go(func() {
			// They do not all send at the same moment.
			pause := time.NewTimer(time.Duration(i) * time.Second / time.Duration(p.rate*len(others)))
			defer pause.Stop()
			<-pause.C
			l, err := c.chat(ctx, time.Second/time.Duration(p.rate))
			mu.Lock()
			defer mu.Unlock()
			all, errs = append(all, l...), append(errs, err)
		})
	}
	for _, c := range attackers {
		wg.Go(func() { c.flood(ctx, p.events/len(attackers), p.phase) })
	}
	var peak usage
	wg.Go(func() {
		tick := time.NewTicker(p.phase / 20) //nolint:mnd // often enough
		defer tick.Stop()
		for ctx.Err() == nil {
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
			u, err := s.stats(false)
			mu.Lock()
			peak, errs = peak.max(u), append(errs, err)
			mu.Unlock()
		}
	})
	wg.Wait()
	slices.Sort(all)
	return all, peak, errors.Join(errs...)
}

// latencies are sorted.
type latencies []time.Duration

func (l latencies) String() string {
	if len(l) == 0 {
		return "no ack"
	}
	at := func(part float64) time.Duration { return l[int(part*float64(len(l)-1))].Round(10 * time.Microsecond) }
	return fmt.Sprintf("%d acks, p50 %v, p99 %v, slowest %v", len(l), at(0.5), at(0.99), at(1)) //nolint:mnd // percentiles
}

// A server is the process with the Socket.IO server.
type server struct {
	address string
	cmd     *exec.Cmd
	stdin   io.Closer // it ends with that
}

// start starts this program as the server.
func start(policy string) (*server, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "-serve", "-policy", policy) //nolint:gosec // this program
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		_ = stdin.Close()
		return nil, errors.Join(fmt.Errorf("the server does not say where it is: %w", err), cmd.Wait())
	}
	return &server{strings.TrimSpace(line), cmd, stdin}, nil
}

func (s *server) stop() error {
	_ = s.stdin.Close()
	return s.cmd.Wait()
}

// stats asks the server how much memory it uses, after a garbage collection or not.
func (s *server) stats(collect bool) (u usage, err error) {
	url := "http://" + s.address + "/stats"
	if collect {
		url += "?gc=1"
	}
	res, err := http.Get(url) //nolint:gosec // our own server
	if err != nil {
		return u, err
	}
	defer res.Body.Close()
	return u, json.NewDecoder(res.Body).Decode(&u)
}
