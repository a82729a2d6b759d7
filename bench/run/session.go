package main

import (
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
	Rounds          int
	Processor       string
	Cores           int
	Go, Node, Redis string
	Results         []result
}

func newSession(ctx context.Context, o options) *session {
	node, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		node = []byte("absent")
	}
	return &session{
		Growth: o.growth, Cluster: o.cluster, Command: o.command, Date: time.Now().Format(time.DateOnly), Rounds: o.rounds,
		Processor: after("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(),
		Go: runtime.Version(), Node: strings.TrimSpace(string(node)), Redis: redisVersion(ctx),
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
	name := comparisonFile
	switch {
	case s.Growth:
		name = growthFile
	case s.Cluster:
		name = clusterFile
	}
	return os.WriteFile(filepath.Join(dir, name), append(b, '\n'), 0o600)
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
