// Command run is the benchmark: it measures sioplug under each of its mounts, the
// JavaScript server and a WebSocket server without Socket.IO, and writes what it
// found to docs/benchmarks.md, with a plot.
//
//	go run ./bench/run                         # all, about 25 minutes
//	go run ./bench/run -rounds 1 -dur 500ms -clients 1000  # a first look, 2 minutes
//	go run ./bench/run -growth                 # growing numbers, about 20 minutes
//	go run ./bench/run -scenarios echo,ack -servers sioplug,baseline
//
// It needs Linux, and Node.js for the JavaScript server. Results are kept in
// bench/results, where the report finds those of both kinds of runs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
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
	results, out       string
	command            string
}

func main() {
	var o options
	flag.StringVar(&o.scenarios, "scenarios", "", "names of scenarios, with commas between them; all if empty")
	flag.StringVar(&o.servers, "servers", "", "names of servers, with commas between them; all if empty")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each scenario runs with each server")
	flag.DurationVar(&o.dur, "dur", 3*time.Second, "how long each scenario measures; it warms up for a third of that")
	flag.IntVar(&o.clients, "clients", 50_000, "no scenario has more clients than that")
	flag.BoolVar(&o.growth, "growth", false, "measure with growing numbers of clients and rooms, instead of comparing")
	flag.BoolVar(&o.reportOnly, "report", false, "measure nothing, only write the report again")
	flag.StringVar(&o.results, "results", "bench/results", "folder for results")
	flag.StringVar(&o.out, "out", "docs", "folder for the report")
	flag.Parse()
	o.command = strings.Join(append([]string{"go run ./bench/run"}, os.Args[1:]...), " ")

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if runtime.GOOS != "linux" {
		return errors.New("the benchmark reads the servers' costs from /proc, which only Linux has")
	}
	var failed error
	if !o.reportOnly {
		s, err := measure(ctx, o)
		if err != nil {
			return err
		}
		failed = s.failures()
		if err := s.save(filepath.Join(o.results, s.kind()+".json")); err != nil {
			return err
		}
	}
	compared, err := load(filepath.Join(o.results, "comparison.json"))
	if err != nil {
		return err
	}
	grown, err := load(filepath.Join(o.results, "growth.json"))
	if err != nil {
		return err
	}
	return errors.Join(failed, write(o.out, compared, grown))
}

// measure does what the options ask for.
func measure(ctx context.Context, o options) (*session, error) {
	bin, err := os.MkdirTemp("", "sioplug-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	root, err := build(ctx, bin)
	if err != nil {
		return nil, err
	}
	p := plan{servers: servers(bin, root), scenarios: comparison(), rounds: o.rounds, dur: o.dur, maxClients: o.clients, bin: bin}
	if o.growth {
		p.scenarios = growth(descriptors())
		p.servers = slices.DeleteFunc(p.servers, func(s server) bool { return !s.growth })
	}
	p.scenarios, err = chosen(p.scenarios, o.scenarios, func(s scenario) []string { return []string{s.name, s.growth} })
	if err != nil {
		return nil, err
	}
	p.servers, err = chosen(p.servers, o.servers, func(s server) []string { return []string{s.name} })
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("node"); err != nil {
		fmt.Fprintln(os.Stderr, "Node.js is not installed: socket.io is left out")
		p.servers = slices.DeleteFunc(p.servers, func(s server) bool { return s.name == reference })
	}
	s := &session{
		Growth: o.growth, Command: o.command, Date: time.Now().Format(time.DateOnly), Rounds: o.rounds,
		Processor: processor(), Cores: runtime.NumCPU(), Go: runtime.Version(), Node: node(ctx),
	}
	s.Results = p.measure(ctx, os.Stderr)
	return s, ctx.Err()
}

// chosen returns the elements with these names, in their own order.
func chosen[T any](all []T, names string, of func(T) []string) ([]T, error) {
	if names == "" {
		return all, nil
	}
	var some []T
	left := strings.Split(names, ",")
	unknown := slices.Clone(left)
	for _, e := range all {
		for _, name := range of(e) {
			if slices.Contains(left, name) {
				some = append(some, e)
				unknown = slices.DeleteFunc(unknown, func(s string) bool { return s == name })
				break
			}
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("unknown name: %s", strings.Join(unknown, ", "))
	}
	return some, nil
}

// A session is what was measured in one go.
type session struct {
	Growth        bool
	Command, Date string
	Rounds        int
	Processor     string
	Cores         int
	Go, Node      string
	Results       []result
}

func (s *session) kind() string {
	if s.Growth {
		return "growth"
	}
	return "comparison"
}

func (s *session) failures() error {
	var failed []error
	for _, r := range s.Results {
		if r.Error != "" {
			failed = append(failed, fmt.Errorf("%s, %s: %s", r.Scenario, r.Server, r.Error))
		}
	}
	return errors.Join(failed...)
}

func (s *session) save(name string) error {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o600)
}

// load returns nil if there is no such session.
func load(name string) (*session, error) {
	b, err := os.ReadFile(name) //nolint:gosec // the user says where
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // documented
	}
	if err != nil {
		return nil, err
	}
	var s session
	return &s, json.Unmarshal(b, &s)
}

func processor() string { return after("/proc/cpuinfo", "model name") }

// descriptors returns how many files a process may have open.
func descriptors() int {
	var n int
	if _, err := fmt.Sscan(after("/proc/self/limits", "Max open files"), &n); err != nil {
		return 1024
	}
	return n
}

// after returns what follows a word at the beginning of a line.
func after(file, word string) string {
	b, err := os.ReadFile(file) //nolint:gosec // one of two constants
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut("\n"+string(b), "\n"+word)
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimLeft(line, " \t:")
}

func node(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return "absent"
	}
	return strings.TrimSpace(string(out))
}
