package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestNumber(t *testing.T) {
	for want, xs := range map[string][]float64{
		"0.00":      {0, 0.004},
		"1.23":      {1.234},
		"9.99":      {9.994},
		"10.0":      {9.996, 10},
		"99.9":      {99.94},
		"100":       {99.96, 100.4},
		"999":       {999.4},
		"1,000":     {999.6},
		"12,345":    {12345},
		"1,234,568": {1234567.8},
		"-2.50":     {-2.5},
		"-1,000":    {-1000},
	} {
		for _, x := range xs {
			if got := number(x); got != want {
				t.Errorf("number(%v) = %q, want %q", x, got, want)
			}
		}
	}
}

func TestSpread(t *testing.T) {
	tests := []struct {
		s    series
		want spread
		text string
	}{
		{series{1: 5}, spread{5, 5, 5}, "5.00"},
		{series{1: 294.1, 2: 294.2, 3: 294.3}, spread{294.2, 294.1, 294.3}, "294"},
		{series{1: 9, 2: 1, 3: 2}, spread{2, 1, 9}, "2.00 (1.00 to 9.00)"},
		{series{1: 4, 2: 1, 3: 2, 7: 100}, spread{3, 1, 100}, "3.00 (1.00 to 100)"},
	}
	for _, tt := range tests {
		if got, ok := tt.s.spread(); got != tt.want || !ok {
			t.Errorf("%v.spread() = %v, %v, want %v", tt.s, got, ok, tt.want)
		}
		if got := tt.s.cell(); got != tt.text {
			t.Errorf("%v.cell() = %q, want %q", tt.s, got, tt.text)
		}
	}
	if got := (series{}).cell(); got != "–" {
		t.Errorf("cell of nothing = %q", got)
	}
}

func TestRatiosAreWithinARound(t *testing.T) {
	slow, base := series{1: 20, 2: 200, 3: 30, 4: 1}, series{1: 10, 2: 100, 4: 0, 5: 7}
	got := slow.over(base)
	if len(got) != 2 || got[1] != 2 || got[2] != 2 {
		t.Errorf("over = %v, want 2 in the rounds 1 and 2 alone", got)
	}
}

// measured is a session in which socket.io failed once, and the baseline is the
// better at echo.
func measured() *session {
	s := &session{Command: "make bench", Date: "2026-01-02", Rounds: 2, Processor: "CPU <1>", Cores: 2, Go: "go1", Node: "v20"}
	add := func(round int, scenario, server string, values map[string]float64) {
		s.Results = append(s.Results, result{Round: round, Scenario: scenario, Server: server, Values: values})
	}
	for round, slower := range []float64{1, 2} { // the machine is, in the second round
		add(round+1, "echo", ours, map[string]float64{"clients": 200, "cpu_us": 6 * slower, "per_s": 5000, "other_cores": 0.1})
		add(round+1, "echo", baseline, map[string]float64{"clients": 200, "cpu_us": 4 * slower, "per_s": 7000, "other_cores": 0.3})
		add(round+1, "bcast5k", ours, map[string]float64{"clients": 5000, "cpu_us": 1 * slower, "p99_us": 20_000})
		add(round+1, "bcast5k", baseline, map[string]float64{"clients": 5000, "cpu_us": 2 * slower, "p99_us": 20_500})
		add(round+1, "upgrade", ours, map[string]float64{"clients": 50, "cpu_us": 40 * slower})
		add(round+1, "upgrade", reference, map[string]float64{"clients": 50, "cpu_us": 60 * slower})
	}
	add(1, "echo", reference, map[string]float64{"clients": 200, "cpu_us": 12, "per_s": 2000})
	s.Results = append(s.Results, result{Round: 2, Scenario: "echo", Server: reference, Error: "client 3: received \"x\""})
	return s
}

func equal(t *testing.T, what string, got, want [][]string) {
	t.Helper()
	if !slices.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("%s:\n%q\nwant\n%q", what, got, want)
	}
}

func TestSummary(t *testing.T) {
	got := measured().summary()
	equal(t, "summary", append([][]string{got.Head}, got.Rows...), [][]string{
		{"", "sioplug, net/http", "socket.io, Node.js", "baseline"},
		{"echo: CPU time per message", "1.50× (9.00 µs)", "3.00× (12.0 µs), failed in 1 of 2 rounds", "**1.00× (6.00 µs)**"},
		{"broadcast to 5,000: CPU time per delivery", "**0.50× (1.50 µs)**", "–", "1.00× (3.00 µs)"},
		{"broadcast to 5,000: last delivery, p99", "**0.98× (20,000 µs)**", "–", "1.00× (20,500 µs)"},
		{"upgrading: CPU time per cycle", "**0.67× (60.0 µs)**", "1.00× (90.0 µs)", "–"},
	})
}

func TestOthersThatAreBetterAreNamed(t *testing.T) {
	want := []string{"echo, CPU time per message: baseline takes 0.67 of what sioplug takes"}
	if got := measured().better(); !slices.Equal(got, want) {
		t.Errorf("better = %q, want %q", got, want)
	}
}

func TestGoals(t *testing.T) {
	got := measured().goals()
	equal(t, "goals", append([][]string{got.Head}, got.Rows...), [][]string{
		{"", "measured", "must", "aim", "reached"},
		{"echo: CPU time per message, over baseline", "1.50×", "1.40×", "1.15×", "–"},
		{"broadcast to 5,000: CPU time per delivery, over baseline", "0.50×", "1.10×", "0.95×", "aim"},
		{"broadcast to 5,000: last delivery, p99, over baseline", "0.98×", "1.50×", "1.00×", "aim"},
		{"upgrading: CPU time per cycle, over socket.io, Node.js", "0.67×", "0.30×", "0.15×", "–"},
	})
}

func TestDetails(t *testing.T) {
	got := measured().details(measured().present(comparison(), servers("", "")))[0]
	if want := "Each of 200 clients"; !strings.HasPrefix(got.About, want) || got.Title != "echo" {
		t.Errorf("title %q, about %q, want echo, %q...", got.Title, got.About, want)
	}
	equal(t, "details", append([][]string{got.Head}, got.Rows...), [][]string{
		{"", "CPU time per message, µs", "×", "messages a second"},
		{"sioplug, net/http", "9.00 (6.00 to 12.0)", "1.50", "5,000"},
		{"socket.io, Node.js (failed in 1 of 2 rounds)", "12.0", "3.00", "2,000"},
		{"baseline", "6.00 (4.00 to 8.00)", "1.00", "7,000"},
	})
}

func TestGrowing(t *testing.T) {
	s := &session{Growth: true, Rounds: 1}
	for scenario, clients := range map[string]float64{"bcast-100": 100, "bcast-20000": 19_900} {
		s.Results = append(s.Results, result{Round: 1, Scenario: scenario, Server: ours, Values: map[string]float64{"clients": clients, "cpu_us": clients / 100}})
	}
	got := s.growing()
	if len(got) != 1 || got[0].Title != "Broadcast, clients: CPU time per delivery, µs" {
		t.Fatalf("growing = %v", got)
	}
	equal(t, "growing", append([][]string{got[0].Head}, got[0].Rows...), [][]string{
		{"", "100", "19,900"},
		{"sioplug, net/http", "1.00", "199"},
	})
}

func TestPage(t *testing.T) {
	dir := t.TempDir()
	grown := measured()
	grown.Growth = true
	for i := range grown.Results {
		grown.Results[i].Scenario = "bcast-100"
	}
	if err := (page{Compared: measured(), Grown: grown}).write(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, want := range []string{
		"2026-01-02", "`make bench`", "Rounds: 2.", "CPU <1>", "2 processors", "go1", "v20", "0.20 of its 2 processors in the median, and 0.30 at most",
		"(benchmarks.svg)",
		"\n|  | sioplug, net/http | socket.io, Node.js | baseline |\n|---|---|---|---|\n| echo: CPU time",
		"\n- echo, CPU time per message: baseline takes 0.67",
		"\n## Next goals\n",
		"\n|  | next goal | sioplug | socket.io, Node.js | reached | ahead of sioplug |\n|---|---|---|---|---|---|\n| echo: CPU time",
		"\n### echo\n\nEach of 200 clients",
		"\n## Growth\n",
		"\n### Broadcast, clients: CPU time per delivery, µs\n\n|  | 200 |\n|---|---|\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{"<no value>", "NaN", "%!", "{n}", "\n\n\n"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q in it", bad)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}

func TestPageOfOnePart(t *testing.T) {
	for name, sessions := range map[string][2]*session{"comparison": {measured(), nil}, "growth": {nil, measured()}} {
		dir := t.TempDir()
		if err := (page{Compared: sessions[0], Grown: sessions[1]}).write(dir); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(b), "## Summary"); got != (name == "comparison") {
			t.Errorf("%s: summary = %v", name, got)
		}
		if got := strings.Contains(string(b), "## Growth"); got != (name == "growth") {
			t.Errorf("%s: growth = %v", name, got)
		}
	}
}

func TestPlot(t *testing.T) {
	p := measured().plot()
	var titles []string
	for _, m := range p.Marks {
		titles = append(titles, m.Text)
	}
	want := []string{
		"sioplug, net/http, echo: 1.50", "socket.io, Node.js, echo: 3.00",
		"sioplug, net/http, broadcast to 5,000: 0.50",
		"sioplug, net/http, upgrading: 0.67", "socket.io, Node.js, upgrading: 1.00",
	}
	if !slices.Equal(titles, want) {
		t.Errorf("marks = %q, want %q", titles, want)
	}
	// The axis is logarithmic: from 0.5, the least, to 3, the most.
	at := map[string]float64{}
	for _, tick := range p.Ticks {
		at[tick.Text] = tick.X
	}
	if at["0.5"] != plotLeft || p.Marks[2].X != plotLeft || p.Marks[1].X != plotRight {
		t.Errorf("the ends of the axis are at %v, %v and %v", at["0.5"], p.Marks[2].X, p.Marks[1].X)
	}
	if one, two := at["1"]-at["0.5"], at["2"]-at["1"]; one-two > 0.2 || two-one > 0.2 || one <= 0 {
		t.Errorf("from 0.5 to 1 it is %v, from 1 to 2 %v", one, two)
	}
	if p.Marks[4].X != at["1"] {
		t.Errorf("the reference is at %v, not at 1: %v", p.Marks[4].X, at["1"])
	}

	b, err := render(plotTemplate, p)
	if err != nil {
		t.Fatal(err)
	}
	elements := map[string]int{}
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			elements[e.Name.Local]++
		}
	}
	if got, want := elements["circle"], len(p.Marks)+len(p.Legend); got != want {
		t.Errorf("%d circles, want %d, for marks and legend", got, want)
	}
	for _, srv := range servers("", "") {
		rule := fmt.Sprintf(".%s {", class(srv))
		if n := strings.Count(string(b), rule); srv.name != baseline && n != 2 {
			t.Errorf("%q comes %d times, want once for light and once for dark", rule, n)
		}
	}
}
