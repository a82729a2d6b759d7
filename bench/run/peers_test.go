package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// withPeers is a session in which socketioxide is ahead in one scenario and answers out of
// order in another, where zishang520 has failed.
func withPeers() *session {
	s := &session{Rounds: 2, Rust: "1"}
	add := func(round int, scenario, server string, values map[string]float64) {
		s.Results = append(s.Results, result{Round: round, Scenario: scenario, Server: server, Values: values})
	}
	cpu := func(us float64) map[string]float64 {
		return map[string]float64{"clients": 50, "cpu_us": us, "other_cores": 0}
	}
	for round := 1; round <= 2; round++ {
		add(round, "echo", ours, cpu(6))
		add(round, "echo", oxide, cpu(5))
		add(round, "echo", zishang, cpu(20))
		add(round, "echo", baseline, cpu(5))
		add(round, "echo16", ours, cpu(1))
		add(round, "echo16", baseline, cpu(4))
		out := cpu(6)
		out["flaws"], out["flaws_of"] = 300, 5000
		add(round, "echo16", oxide, out)
		s.Results = append(s.Results, result{Round: round, Scenario: "echo16", Server: zishang, Error: "closed"})
		add(round, "upgrade", ours, cpu(200))
		add(round, "upgrade", oxide, map[string]float64{"clients": 50, "cpu_us": 100, "flaws": float64(round - 1), "flaws_of": 1000})
		add(round, "polling", ours, cpu(50))
		add(round, "polling", baseline, cpu(50))
		add(round, "polling", oxide, map[string]float64{"clients": 50, "cpu_us": 25, "unanswered": float64(round)})
		add(round, "rate", ours, map[string]float64{"clients": 50, "p999_us": 6000})
		add(round, "rate", baseline, map[string]float64{"clients": 50, "p999_us": 2000})
	}
	return s
}

func TestNextGoals(t *testing.T) {
	got := withPeers().nextGoals()
	equal(t, "next goals", append([][]string{got.Head}, got.Rows...), [][]string{
		{"", "next goal", "sioplug", "socketioxide, Rust", "zishang520, Go", "reached", "ahead of sioplug"},
		{"echo: CPU time per message, over baseline", "1.05×", "1.20×", "1.00×", "4.00×", "–", "socketioxide"},
		{"echo, 16 in flight: CPU time per message, over baseline", "0.30×", "0.25×", "1.50× (600 of 10,000 answers out of order)", "– (failed in 2 of 2 rounds)", "yes", "–"},
		{"echo at 5,000/s: latency, p99.9, over baseline", "2.00×", "3.00×", "–", "–", "–", "–"},
		{"echo over polling: CPU time per message, over baseline", "1.05×", "1.00×", "0.50× (3 of 100 clients left without an answer)", "–", "yes", "socketioxide"},
		{"upgrading: CPU time per cycle", "230", "200", "100 (1 of 2,000 cycles failed)", "–", "yes", "socketioxide"},
	})
}

func TestEveryNextGoalIsMeasured(t *testing.T) {
	for _, g := range nextGoals() {
		if _, _, ok := metricOf(comparison(), g.scenario, g.metric); !ok {
			t.Errorf("nothing measures %s of %s", g.metric, g.scenario)
		}
	}
}

func TestMistakesOfPeersAreShown(t *testing.T) {
	s := withPeers()
	const order, cycles, failed = "600 of 10,000 answers out of order", "1 of 2,000 cycles failed", "failed in 2 of 2 rounds"
	var summary, details []string
	for _, row := range s.summary().Rows {
		summary = append(summary, row...)
	}
	for _, table := range s.details(s.present(comparison(), servers("", ""))) {
		for _, row := range table.Rows {
			details = append(details, row[0])
		}
	}
	for _, want := range []string{"1.50× (6.00 µs), " + order, "–, " + failed, "**100 µs, " + cycles + "**"} {
		if !slices.Contains(summary, want) {
			t.Errorf("the summary lacks %q: %q", want, summary)
		}
	}
	for _, want := range []string{"socketioxide, Rust (" + order + ")", "zishang520, Go (" + failed + ")", "socketioxide, Rust (" + cycles + ")"} {
		if !slices.Contains(details, want) {
			t.Errorf("the details lack %q: %q", want, details)
		}
	}
	if want := "upgrading, CPU time per cycle: socketioxide (" + cycles + ") takes 0.50 of what sioplug takes"; !slices.Contains(s.better(), want) {
		t.Errorf("better = %q, want %q", s.better(), want)
	}
}

func TestPageWithPeers(t *testing.T) {
	for text, s := range map[string]*session{"socketioxide 0.18.9 on axum": withPeers(), "With `make bench PEERS=1`, servers": measured()} {
		dir := t.TempDir()
		if err := (page{Compared: s}).write(dir); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []string{"socketioxide 0.18.9 on axum", "With `make bench PEERS=1`, servers", "\n\n\n"} {
			if got := strings.Contains(string(b), other); got != (other == text) {
				t.Errorf("%q in the page: %v\n%s", other, got, b)
			}
		}
	}
}

func TestLegendOfManyServersHasTwoLines(t *testing.T) {
	s := &session{Rounds: 1}
	for _, srv := range servers("", "") {
		s.Results = append(s.Results, result{Round: 1, Scenario: "echo", Server: srv.name, Values: map[string]float64{"clients": 1, "cpu_us": 1}})
	}
	p := s.plot()
	first, last := p.Legend[0], p.Legend[len(p.Legend)-1]
	if len(p.Legend) != 7 || last.Y != first.Y+legendEnd || last.X > plotRight-legendGap || p.Note <= last.Y || p.Top <= p.Note {
		t.Errorf("legend from %v to %v, the note at %v, the axis from %v", first, last, p.Note, p.Top)
	}
	if q := measured().plot(); q.Top != plotTop || q.Note != 52 {
		t.Errorf("without peers the note is at %v, the axis from %v", q.Note, q.Top)
	}
}

func TestVersionsOfPeersAreThoseThatAreBuilt(t *testing.T) {
	for file, want := range map[string]string{
		"../peers/socketioxide/Cargo.toml": "\nsocketioxide = \"=" + oxideIs + "\"\n",
		"../peers/zishang520/go.mod":       " github.com/zishang520/socket.io/servers/socket/v3 v" + zishangIs + "\n",
	} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %q", file, want)
		}
	}
}

func TestWithoutCargo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := buildPeers(t.Context(), servers("", ""))
	if err == nil || !strings.Contains(err.Error(), "cargo is not installed") || !strings.Contains(err.Error(), "rustup.rs") {
		t.Errorf("err = %v, want it to say what is missing, and where it comes from", err)
	}
	if err := buildPeers(t.Context(), servers("", "")[:1]); err != nil {
		t.Errorf("err = %v, but there is no peer to build", err)
	}
}

func TestPeersOnlyCompare(t *testing.T) {
	for _, o := range []options{{peers: true, growth: true}, {peers: true, cluster: true}} {
		if _, err := newPlan(t.Context(), o, ""); err == nil || !strings.Contains(err.Error(), "-peers") {
			t.Errorf("err = %v", err)
		}
	}
	for _, peers := range []bool{false, true} {
		p, err := newPlan(t.Context(), options{peers: peers}, "")
		if got := slices.ContainsFunc(p.servers, func(s server) bool { return s.peer != nil }); err != nil || got != peers {
			t.Errorf("peers are measured: %v, %v, want %v", got, err, peers)
		}
	}
}

func TestCommandIsWhatAUserEnters(t *testing.T) {
	for want, args := range map[string][]string{
		"make bench":                             nil,
		"make bench PEERS=1":                     {"-peers"},
		"make bench ARGS='-rounds 1'":            {"-rounds", "1"},
		"make bench PEERS=1 ARGS='-add -dur 1s'": {"-peers", "-add", "-dur", "1s"},
	} {
		if got := command(args); got != want {
			t.Errorf("command(%q) = %q, want %q", args, got, want)
		}
	}
}

func TestAddedSessionsTellAllCommandsAndDates(t *testing.T) {
	s := &session{Command: "make bench", Date: "2026-01-02"}
	for _, more := range []*session{
		{Command: "make bench", Date: "2026-01-02"}, {Command: "make bench PEERS=1", Date: "2026-01-03", Rust: "1.9"}, {Command: "make bench", Date: "2026-01-04"},
	} {
		s.add(more)
	}
	if s.Command != "make bench`, `make bench PEERS=1" || s.Date != "2026-01-02 to 2026-01-04" || s.Rust != "1.9" {
		t.Errorf("%q, %q, %q", s.Command, s.Date, s.Rust)
	}
}
