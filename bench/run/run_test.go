package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/internal/require"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick are options for a run that measures nothing that is worth reading.
func quick(t *testing.T, scenarios, servers string) options {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the benchmark reads /proc")
	}
	dir := t.TempDir()
	return options{
		scenarios: scenarios, servers: servers, rounds: 1, dur: 30 * time.Millisecond, clients: 20,
		results: filepath.Join(dir, "results"), out: filepath.Join(dir, "docs"),
	}
}

// written is the report of a run.
func written(t *testing.T, o options) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(o.out, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRuns(t *testing.T) {
	bin := t.TempDir()
	if err := build(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(t *testing.T, bin string){
		"every scenario once":   everyScenarioOnce,
		"growth of rooms":       growthOfRooms,
		"every mount":           everyMount,
		"JavaScript server":     javaScriptServer,
		"peer":                  peerServer,
		"added rounds":          addedRounds,
		"a failure is reported": failureIsReported,
		"clusters":              clusters,
	} {
		t.Run(name, func(t *testing.T) { test(t, bin) })
	}
}

func everyScenarioOnce(t *testing.T, bin string) {
	o := quick(t, "", ours+","+baseline)
	if err := runPrograms(t.Context(), o, bin); err != nil {
		t.Fatal(err)
	}
	text := written(t, o)
	for _, sc := range comparison() {
		title := "\n### " + strings.ReplaceAll(sc.title, "{n}", "20") + "\n"
		if !strings.Contains(text, title) {
			t.Errorf("the page lacks %q", title)
		}
	}
}

func everyMount(t *testing.T, bin string) {
	o := quick(t, "upgrade", "sioplug-gin,sioplug-echo,sioplug-fiber")
	if err := runPrograms(t.Context(), o, bin); err != nil {
		t.Fatal(err)
	}
}

func growthOfRooms(t *testing.T, bin string) {
	o := quick(t, "rooms", ours)
	o.growth = true
	if err := runPrograms(t.Context(), o, bin); err != nil {
		t.Fatal(err)
	}
	text := written(t, o)
	for _, want := range []string{"\n|  | 1 | 10 | 1000 |\n", "bytes per membership"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
}

func javaScriptServer(t *testing.T, bin string) {
	require.Tool(t, "node")
	require.NodePackages(t, "../js")
	if err := runPrograms(t.Context(), quick(t, "ack,binary,rooms,upgrade", reference), bin); err != nil {
		t.Fatal(err)
	}
}

// peerServer runs the peer that needs nothing but Go.
func peerServer(t *testing.T, bin string) {
	o := quick(t, "ack,binary,json,rooms,upgrade", "zishang520,baseline")
	o.peers = true
	if err := runPrograms(t.Context(), o, bin); err != nil {
		t.Fatal(err)
	}
	has(t, written(t, o), []string{"\n| zishang520, Go | ", "\n- **Peers** are", ", Rust "})
}

func addedRounds(t *testing.T, bin string) {
	o := quick(t, "echo", baseline)
	o.command, o.add = "make bench", true
	for _, scenarios := range []string{"echo", "echo,ack"} {
		o.scenarios = scenarios
		if err := runPrograms(t.Context(), o, bin); err != nil {
			t.Fatal(err)
		}
	}
	s, err := load(o.results, comparisonFile)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range s.Results {
		got = append(got, fmt.Sprint(r.Scenario, r.Round))
	}
	if want := []string{"echo1", "echo2", "ack1"}; !slices.Equal(got, want) || s.Rounds != 2 || s.Command != o.command {
		t.Errorf("%q of %d rounds by %s, want %q of 2", got, s.Rounds, s.Command, want)
	}
	o.dur *= 2
	if err := runPrograms(t.Context(), o, bin); err == nil || !strings.Contains(err.Error(), "settings") {
		t.Errorf("err = %v, want it to refuse other settings", err)
	}
}

// clusters runs every scenario once, and every adapter once.
func clusters(t *testing.T, bin string) {
	require.Tool(t, "node")
	require.Tool(t, "redis")
	require.NodePackages(t, "../js")
	o := quick(t, "cluster-rooms", "")
	o.cluster, o.adapters, o.clients = true, strings.Join(clusterAdapters(), ","), 30
	if err := os.MkdirAll(o.out, 0o750); err != nil {
		t.Fatal(err)
	}
	const other = "# Benchmarks\n\nIntroduction.\n\nMeasured long ago.\n\n## Growth\n\nOf something.\n"
	if err := os.WriteFile(filepath.Join(o.out, "benchmarks.md"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := runPrograms(t.Context(), o, bin); err != nil {
		t.Fatal(err)
	}
	want := []string{"\n\nMeasured long ago.\n\n## Clusters\n\n", "\n\n## Growth\n\nOf something.\n"}
	for _, srv := range clusterServers("", "", clusterAdapters()) {
		want = append(want, "\n| "+srv.title+" | ")
	}
	has(t, written(t, o), want)

	o.scenarios, o.servers, o.adapters = "", "sioplug-classic", "classic"
	if err := runPrograms(t.Context(), o, bin); err != nil {
		t.Fatal(err)
	}
	want = want[:2]
	for _, sc := range clusterScenarios() {
		want = append(want, "\n### "+strings.ReplaceAll(sc.title, "{n}", "30")+"\n")
	}
	has(t, written(t, o), want)
}

func has(t *testing.T, page string, want []string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(page, w) {
			t.Errorf("the page lacks %q:\n%s", w, page)
		}
	}
}

func TestRunsThatDoNotGoTogether(t *testing.T) {
	for want, change := range map[string]func(o *options){
		"-growth and -cluster": func(o *options) { o.growth = true },
		`"gossip"`:             func(o *options) { o.adapters = "classic,gossip" },
		`"sioplug-sharded"`:    func(o *options) { o.adapters, o.servers = "classic", "sioplug-sharded" },
	} {
		require.Tool(t, "redis")
		o := quick(t, "", "")
		o.cluster, o.adapters = true, "classic"
		change(&o)
		if err := runPrograms(t.Context(), o, t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err = %v, want %s in it", err, want)
		}
	}
}

func failureIsReported(t *testing.T, bin string) {
	o := quick(t, "rooms", baseline)
	o.clients = 15 // do not fill rooms of ten
	err := runPrograms(t.Context(), o, bin)
	if err == nil || !strings.Contains(err.Error(), "rooms, baseline") || !strings.Contains(err.Error(), "multiple of 10") {
		t.Errorf("err = %v, want it to say where and why", err)
	}
	if text := written(t, o); !strings.Contains(text, "failed in 1 of 1 rounds") {
		t.Errorf("the page does not tell of the failure:\n%s", text)
	}
}

func TestReportAgain(t *testing.T) {
	o := quick(t, "", "")
	if err := measured().save(o.results); err != nil {
		t.Fatal(err)
	}
	o.reportOnly = true
	if err := run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if text := written(t, o); !strings.Contains(text, "1.50× (9.00 µs)") {
		t.Errorf("the page does not show what was saved:\n%s", text)
	}
}

func TestInterruptedRunWritesNothing(t *testing.T) {
	o := quick(t, "echo", baseline)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	for _, dir := range []string{o.out, o.results} {
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: %v, want nothing there", dir, err)
		}
	}
}

func TestServerThatDoesNotStart(t *testing.T) {
	p := plan{servers: []server{{name: "none", command: []string{"/nonexistent"}}}, scenarios: comparison()[:1], rounds: 2}
	got := p.measure(t.Context(), t.Output())
	if len(got) != 2 || got[0].Error == "" || got[1].Round != 2 {
		t.Errorf("results = %v, want an error in each of two rounds", got)
	}
}

func TestFoldersAreThoseOfTheProject(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	got, err := options{}.withFolders(t.Context())
	if err != nil || got.out != filepath.Join(root, "docs") || got.results != filepath.Join(root, "bench", "results") {
		t.Errorf("folders are %q and %q, %v; want those in %s", got.out, got.results, err, root)
	}
	got, err = options{out: "there", results: "here"}.withFolders(t.Context())
	if err != nil || got.out != "there" || got.results != "here" {
		t.Errorf("folders are %q and %q, %v; want them as given", got.out, got.results, err)
	}
}

func TestChosen(t *testing.T) {
	names := func(s string) []string { return []string{s, s[:1]} }
	all := []string{"aa", "ab", "b"}
	for arg, want := range map[string][]string{"": all, "ab": {"ab"}, "b,aa": {"b", "aa"}, "a": {"aa", "ab"}} {
		if got, err := chosen(all, arg, names); err != nil || !slices.Equal(got, want) {
			t.Errorf("chosen(%q) = %q, %v, want %q", arg, got, err, want)
		}
	}
	if _, err := chosen(all, "ab,c", names); err == nil || !strings.Contains(err.Error(), `"c"`) {
		t.Errorf("err = %v, want it to name c", err)
	}
}

func TestNumbersGrow(t *testing.T) {
	var clients []int
	for _, sc := range growth(20_000) {
		if sc.growth == "idle" {
			clients = append(clients, sc.clients)
		}
	}
	if want := []int{100, 1000, 10_000, 19_900}; !slices.Equal(clients, want) {
		t.Errorf("clients = %v, want %v", clients, want)
	}
}
