// Command run is the benchmark: it measures sioplug under each of its mounts, the
// JavaScript server and a WebSocket server without Socket.IO, and writes what it
// found to docs/benchmarks.md, with a plot.
//
//	go run ./bench/run                                     # all, 29 minutes
//	go run ./bench/run -rounds 1 -dur 500ms -clients 1000  # a first look, 2 minutes
//	go run ./bench/run -growth                             # growing numbers, 14 minutes
//	go run ./bench/run -cluster                            # clusters of three servers, 2 minutes
//	go run ./bench/run -peers                              # with servers in Rust and Go, too, 39 minutes
//	go run ./bench/run -scenarios echo,ack -servers sioplug,baseline
//	go run ./bench/run -rounds 1 -add                      # a round more than those before
//
// It needs Linux, Node.js for the JavaScript server, redis-server for clusters, and
// cargo for the server in Rust.
// Results are kept in bench/results, where the report finds those of all kinds of
// runs. A part of the report whose results are not there stays as it is.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

type options struct {
	scenarios, servers string
	rounds             int
	dur                time.Duration
	clients            int
	growth, reportOnly bool
	peers, add         bool
	cluster            bool
	adapters           string
	results, out       string
	command            string
}

func main() {
	var o options
	flag.StringVar(&o.scenarios, "scenarios", "", "names of scenarios, with commas between them; all if empty")
	flag.StringVar(&o.servers, "servers", "", "names of servers, with commas between them; all if empty")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each scenario runs with each server")
	flag.DurationVar(&o.dur, "dur", 3*time.Second, "how long each scenario measures; it warms up for a third of that")
	flag.IntVar(&o.clients, "clients", 50_000, "no scenario has more clients than that, a multiple of 10, or of 30 with -cluster")
	flag.BoolVar(&o.growth, "growth", false, "measure with growing numbers of clients and rooms, instead of comparing")
	flag.BoolVar(&o.cluster, "cluster", false, "measure clusters of three servers, instead of comparing single ones")
	flag.StringVar(&o.adapters, "adapters", "classic", "adapters of clusters, with commas between them: "+strings.Join(clusterAdapters(), ", "))
	flag.BoolVar(&o.peers, "peers", false, "compare with "+oxide+", in Rust, and "+zishang+", in Go, too; make bench PEERS=1 is the same")
	flag.BoolVar(&o.add, "add", false, "measure more rounds, or other scenarios, and keep what earlier runs have measured")
	flag.BoolVar(&o.reportOnly, "report", false, "measure nothing, only write the report again")
	flag.StringVar(&o.results, "results", "", "folder for results; the project's bench/results if empty")
	flag.StringVar(&o.out, "out", "", "folder for the report; the project's docs if empty")
	flag.Parse()
	o.command = command(os.Args[1:])

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	o, err := o.withFolders(ctx)
	if err != nil {
		return err
	}
	if o.reportOnly {
		return report(o)
	}
	if runtime.GOOS != "linux" {
		return errors.New("the benchmark reads the servers' costs from /proc, which only Linux has")
	}
	bin, err := os.MkdirTemp("", "sioplug-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	if err := build(ctx, bin); err != nil {
		return err
	}
	return runPrograms(ctx, o, bin)
}

// command returns what a user has to enter for a run with these arguments.
func command(args []string) string {
	text := "make bench"
	if i := slices.Index(args, "-peers"); i >= 0 {
		text += " PEERS=1"
		args = slices.Delete(slices.Clone(args), i, i+1)
	}
	if len(args) > 0 {
		text += " ARGS='" + strings.Join(args, " ") + "'"
	}
	return text
}

// withFolders returns the options with folders, from wherever the program was started.
func (o options) withFolders(ctx context.Context) (options, error) {
	if o.results != "" && o.out != "" {
		return o, nil
	}
	root, err := moduleRoot(ctx)
	o.results = cmp.Or(o.results, filepath.Join(root, "bench", "results"))
	o.out = cmp.Or(o.out, filepath.Join(root, "docs"))
	return o, err
}

// runPrograms measures and writes the report, with the programs in a folder.
func runPrograms(ctx context.Context, o options, bin string) error {
	p, err := newPlan(ctx, o, bin)
	if err != nil {
		return err
	}
	s := newSession(ctx, o)
	all, err := s.addTo(o)
	if err != nil {
		return err
	}
	if err := buildPeers(ctx, p.servers); err != nil {
		return err
	}
	s.Results = p.measure(ctx, os.Stderr)
	if err := ctx.Err(); err != nil {
		return err
	}
	all.add(s)
	if err := all.save(o.results); err != nil {
		return err
	}
	return errors.Join(report(o), s.failures())
}

// report writes what the last run of each kind has found.
func report(o options) error {
	var p page
	for file, to := range map[string]**session{comparisonFile: &p.Compared, growthFile: &p.Grown, clusterFile: &p.Clustered} {
		s, err := load(o.results, file)
		if err != nil {
			return err
		}
		*to = s
	}
	return p.write(o.out)
}

// newPlan returns what the options ask for.
func newPlan(ctx context.Context, o options, bin string) (p plan, err error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return p, err
	}
	p = plan{servers: servers(bin, root), scenarios: comparison(), rounds: o.rounds, dur: o.dur, maxClients: o.clients, bin: bin}
	switch {
	case o.growth && o.cluster:
		return p, errors.New("-growth and -cluster are different runs")
	case o.peers && (o.growth || o.cluster):
		return p, errPeers
	case o.growth:
		p.scenarios = growth(descriptors())
		p.servers = slices.DeleteFunc(p.servers, func(s server) bool { return !s.growth })
	case o.cluster:
		if p, err = p.ofClusters(root, o.adapters); err != nil {
			return p, err
		}
	case !o.peers:
		p.servers = slices.DeleteFunc(p.servers, func(s server) bool { return s.peer != nil })
	}
	p.scenarios, err = chosen(p.scenarios, o.scenarios, func(s scenario) []string { return []string{s.name, s.growth} })
	if err != nil {
		return p, err
	}
	p.servers, err = chosen(p.servers, o.servers, func(s server) []string { return []string{s.name} })
	if err != nil {
		return p, err
	}
	if _, err := exec.LookPath("node"); err != nil {
		fmt.Fprintln(os.Stderr, "Node.js is not installed: socket.io is left out")
		p.servers = slices.DeleteFunc(p.servers, func(s server) bool { return strings.HasPrefix(s.name, reference) })
	}
	return p, nil
}

// chosen returns the elements with these names, or all.
func chosen[T any](all []T, names string, of func(T) []string) (some []T, err error) {
	if names == "" {
		return all, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		before := len(some)
		for _, e := range all {
			if slices.Contains(of(e), name) {
				some = append(some, e)
			}
		}
		if len(some) == before {
			return nil, fmt.Errorf("unknown name: %q", name)
		}
	}
	return some, nil
}
