package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A result is what one scenario measured of one server in one round.
type result struct {
	Round            int
	Scenario, Server string
	Values           map[string]float64
	Error            string
}

// A plan is what is to be measured.
type plan struct {
	servers    []server
	scenarios  []scenario
	rounds     int
	dur        time.Duration
	maxClients int
	nodes      int    // servers of a cluster; 0 if each is by itself
	bin        string // folder of the programs
}

const module = "github.com/sioplug/sioplug"

// build builds the programs.
func build(ctx context.Context, bin string) error {
	const bench = module + "/bench/"
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin+"/", bench+"server", bench+"baseline", bench+"load") //nolint:gosec // a folder of ours
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// moduleRoot returns the folder that the module is in.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// measure runs the scenarios against the servers, one at a time and by turns. If the
// machine is slower for a while, all servers are affected.
func (p plan) measure(ctx context.Context, progress io.Writer) (results []result) {
	for round := 1; round <= p.rounds; round++ {
		for _, sc := range p.scenarios {
			for _, srv := range p.servers {
				if sc.noBaseline && srv.name == baseline {
					continue
				}
				r := result{Round: round, Scenario: sc.name, Server: srv.name}
				values, err := p.one(ctx, sc, srv)
				if ctx.Err() != nil {
					return results
				}
				if r.Values = values; err != nil {
					r.Error = err.Error()
				}
				fmt.Fprintln(progress, r)
				results = append(results, r)
			}
		}
	}
	return results
}

// String is a line that tells how it goes.
func (r result) String() string {
	words := []string{fmt.Sprintf("round %d  %-13s %-17s", r.Round, r.Scenario, r.Server)}
	if r.Error != "" {
		words = append(words, "FAILED:", r.Error)
	}
	for _, key := range []string{"cpu_us", "p99_us", "p999_us", "gc_per_million", "per_s", "bytes_settled", "bytes_gc", "bytes_membership", "message_cpu_us", "flaws", "flaws_of", "unanswered"} {
		if v, ok := r.Values[key]; ok {
			words = append(words, key+"="+number(v))
		}
	}
	return strings.Join(words, " ")
}

// one starts a server, and the load generator with it.
func (p plan) one(ctx context.Context, sc scenario, srv server) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if srv.peer != nil {
		sc.args = slices.Concat(sc.args, []string{"-tolerant"})
	}
	if strings.HasPrefix(srv.name, ours) {
		srv.command = slices.Concat(srv.command[:1], sc.flags, srv.command[1:])
	}
	procs, err := p.startServers(ctx, srv)
	if err != nil {
		return nil, err
	}
	defer procs.stop()
	args := slices.Concat(procs.flags(), []string{
		"-scenario", sc.load, "-clients", strconv.Itoa(min(sc.clients, p.maxClients)),
		"-dur", p.dur.String(), "-warm", (p.dur / 3).String(), "-settle", (2 * p.dur).String(),
		"-beats", (9 * p.dur).String(),
	}, sc.args)
	load := exec.CommandContext(ctx, filepath.Join(p.bin, "load"), args...) //nolint:gosec // ours
	var stderr bytes.Buffer
	load.Stderr = &stderr
	out, err := load.Output()
	if err != nil {
		return nil, errors.New(strings.TrimSpace(err.Error() + ": " + stderr.String()))
	}
	var values map[string]float64
	return values, json.Unmarshal(out, &values)
}

// A process is a server that runs.
type process struct {
	addr string
	pid  int
	stop func()
}

// start starts a server and waits until it accepts connections.
func start(ctx context.Context, srv server) (process, error) {
	addr, err := freeAddr()
	if err != nil {
		return process{}, err
	}
	_, port, _ := net.SplitHostPort(addr)
	args := slices.Concat(srv.command[1:], []string{port})
	cmd := exec.CommandContext(ctx, srv.command[0], args...) //nolint:gosec // one of ours, or Node.js
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return process{}, err
	}
	p := process{addr, cmd.Process.Pid, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}}
	for range 200 {
		if c, err := net.Dial("tcp", addr); err == nil {
			return p, c.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	p.stop()
	return process{}, fmt.Errorf("%s does not accept connections", srv.name)
}

// freeAddr returns a free address on loopback.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
