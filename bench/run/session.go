package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A session is what was measured in one go.
type session struct {
	Growth, Cluster bool
	Command, Date   string
	Settings        string
	Rounds          int
	Processor       string
	Cores           int
	Go, Node, Redis string
	Rust            string // empty without peers
	Results         []result
}

func newSession(ctx context.Context, o options) *session {
	node, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		node = []byte("absent")
	}
	rust := ""
	if o.peers {
		rust = rustVersion(ctx)
	}
	return &session{
		Growth: o.growth, Cluster: o.cluster, Command: o.command, Date: time.Now().Format(time.DateOnly), Rounds: o.rounds,
		Processor: after("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		Go: runtime.Version(), Node: strings.TrimSpace(string(node)), Redis: redisVersion(ctx), Rust: rust,
		Settings: fmt.Sprintf("-dur %s -clients %d", o.dur, o.clients),
	}
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

// Files of the folder for results.
const (
	comparisonFile = "comparison.json"
	growthFile     = "growth.json"
	clusterFile    = "cluster.json"
)

func (s *session) save(dir string) error {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, s.file()), append(b, '\n'), 0o600)
}

func (s *session) file() string {
	switch {
	case s.Growth:
		return growthFile
	case s.Cluster:
		return clusterFile
	}
	return comparisonFile
}

// addTo returns what the results of s will be added to: with -add, what was measured before on
// the same machine and in the same way.
func (s *session) addTo(o options) (*session, error) {
	var old *session
	if o.add {
		var err error
		if old, err = load(o.results, s.file()); err != nil {
			return nil, err
		}
	}
	if old == nil {
		old = &session{}
		*old = *s
		return old, nil
	}
	for _, same := range []struct{ what, old, now string }{
		{"settings", old.Settings, s.Settings},
		{"processors", old.machine(), s.machine()},
		{"Go", old.Go, s.Go},
		{"Node.js", old.Node, s.Node},
		{"Redis", old.Redis, s.Redis},
		{"Rust", cmp.Or(old.Rust, s.Rust), cmp.Or(s.Rust, old.Rust)},
	} {
		if same.old != same.now {
			return nil, fmt.Errorf("-add: %s: the results of before have %q, now it is %q", same.what, same.old, same.now)
		}
	}
	return old, nil
}

func (s *session) machine() string { return fmt.Sprintf("%d x %s", s.Cores, s.Processor) }

// add puts the results of more behind those of s. Each scenario goes on with its next round.
func (s *session) add(more *session) {
	if !strings.Contains("`, `"+s.Command+"`", "`"+more.Command+"`") {
		s.Command += "`, `" + more.Command
	}
	if !strings.HasSuffix(s.Date, more.Date) {
		s.Date, _, _ = strings.Cut(s.Date, " to ")
		s.Date += " to " + more.Date
	}
	s.Rust = cmp.Or(s.Rust, more.Rust)
	last := map[string]int{}
	for _, r := range s.Results {
		last[r.Scenario] = max(last[r.Scenario], r.Round)
	}
	s.Rounds = 0
	for _, r := range more.Results {
		r.Round += last[r.Scenario]
		s.Results = append(s.Results, r)
	}
	for _, r := range s.Results {
		s.Rounds = max(s.Rounds, r.Round)
	}
}

// load returns nil if nothing was saved.
func load(dir, name string) (*session, error) {
	b, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the user says where
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // documented
	}
	if err != nil {
		return nil, err
	}
	var s session
	return &s, json.Unmarshal(b, &s)
}

// descriptors returns how many files a process may have open.
func descriptors() int {
	var n int
	if _, err := fmt.Sscan(after("/proc/self/limits", "Max open files"), &n); err != nil {
		return math.MaxInt // unlimited
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
