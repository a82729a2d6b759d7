package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

//go:embed benchmarks.md.tmpl
var pageTemplate string

// A table is one of the page's.
type table struct {
	Title, About string
	Head         []string
	Rows         [][]string
}

// A page is what the template shows. Either part may be missing.
type page struct {
	Compared, Grown  *session
	Busy             string // how much else was going on
	Summary, Goals   table
	Better           []string // where others are
	Details, Growing []table
}

// write writes the report, and the plot if there was a comparison.
func write(dir string, compared, grown *session) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	p := page{Compared: compared, Grown: grown}
	if compared != nil {
		p.Busy = compared.busy()
		p.Summary = compared.summary()
		p.Goals = compared.goals()
		p.Better = compared.better()
		p.Details = compared.details()
		plot, err := render(plotTemplate, compared.plot())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "benchmarks.svg"), plot, 0o644); err != nil { //nolint:gosec // a document
			return err
		}
	}
	if grown != nil {
		p.Growing = grown.growing()
	}
	text, err := render(pageTemplate, p)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "benchmarks.md"), text, 0o644) //nolint:gosec // a document
}

func render(text string, data any) ([]byte, error) {
	t, err := template.New("").Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, data)
	return b.Bytes(), err
}

// present returns the scenarios and servers that the session has results of, with
// numbers of clients in the texts.
func (s *session) present(all []scenario) ([]scenario, []server) {
	var scs []scenario
	for _, sc := range all {
		for _, r := range s.Results {
			if r.Scenario == sc.name {
				n := strings.NewReplacer("{n}", count(r.Values["clients"]))
				sc.title, sc.about = n.Replace(sc.title), n.Replace(sc.about)
				scs = append(scs, sc)
				break
			}
		}
	}
	return scs, slices.DeleteFunc(servers("", ""), func(srv server) bool {
		return !slices.ContainsFunc(s.Results, func(r result) bool { return r.Server == srv.name })
	})
}

// ratio is to the baseline, or to the JavaScript server where there is none.
func (s *session) ratio(sc scenario, srv, key string) series {
	base := baseline
	if sc.noBaseline {
		base = reference
	}
	return s.series(sc.name, srv, key).over(s.series(sc.name, base, key))
}

func titles(srvs []server) []string {
	var names []string
	for _, srv := range srvs {
		names = append(names, srv.title)
	}
	return names
}

// summary has the most important metrics of all scenarios and servers.
func (s *session) summary() table {
	scs, srvs := s.present(comparison())
	t := table{Head: append([]string{""}, titles(srvs)...)}
	for _, sc := range scs {
		for _, m := range sc.metrics[:sc.headline] {
			row := []string{sc.title + ": " + m.title}
			best, least := -1, 0.0
			for i, srv := range srvs {
				cell := "–"
				if v, ok := s.series(sc.name, srv.name, m.key).spread(); ok {
					cell = m.with(v.median)
					if best < 0 || v.median < least {
						best, least = i+1, v.median
					}
				}
				if r, ok := s.ratio(sc, srv.name, m.key).spread(); ok {
					cell = number(r.median) + "× (" + cell + ")"
				}
				row = append(row, cell)
			}
			if best > 0 {
				row[best] = "**" + row[best] + "**"
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// better tells where others cost less than we do, by more than 5%.
func (s *session) better() []string {
	var lines []string
	scs, _ := s.present(comparison())
	for _, sc := range scs {
		for _, m := range sc.metrics[:sc.headline] {
			for _, other := range []string{reference, baseline} {
				r, ok := s.series(sc.name, other, m.key).over(s.series(sc.name, ours, m.key)).spread()
				if ok && r.median < 0.95 {
					lines = append(lines, fmt.Sprintf("%s, %s: %s takes %s of what sioplug takes", sc.title, m.title, other, r))
				}
			}
		}
	}
	return lines
}

// details has everything, by scenario.
func (s *session) details() []table {
	var ts []table
	scs, srvs := s.present(comparison())
	for _, sc := range scs {
		t := table{Title: sc.title, About: sc.about, Head: []string{""}}
		for i, m := range sc.metrics {
			t.Head = append(t.Head, m.heading())
			if i == 0 {
				t.Head = append(t.Head, "×")
			}
		}
		for _, srv := range srvs {
			row := []string{srv.title + s.failed(sc.name, srv.name)}
			for i, m := range sc.metrics {
				row = append(row, s.series(sc.name, srv.name, m.key).cell())
				if i == 0 {
					row = append(row, s.ratio(sc, srv.name, m.key).cell())
				}
			}
			t.Rows = append(t.Rows, row)
		}
		ts = append(ts, t)
	}
	return ts
}

func (s series) cell() string {
	if sp, ok := s.spread(); ok {
		return sp.String()
	}
	return "–"
}

func (s *session) failed(scenario, server string) string {
	n := 0
	for _, r := range s.Results {
		if r.Scenario == scenario && r.Server == server && r.Error != "" {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (failed in %d of %d rounds)", n, s.Rounds)
}

// growing has a table for each metric, with a column for each number.
func (s *session) growing() []table {
	var ts []table
	scs, srvs := s.present(growth(0))
	for _, family := range []struct{ name, title string }{
		{"idle", "Idle clients"}, {"echo", "Echo, clients"}, {"bcast", "Broadcast, clients"}, {"rooms", "Rooms of each of 1,000 clients"},
	} {
		members := slices.DeleteFunc(slices.Clone(scs), func(sc scenario) bool { return sc.growth != family.name })
		if len(members) == 0 {
			continue
		}
		for _, m := range members[0].metrics {
			t := table{Title: family.title + ": " + m.heading(), Head: []string{""}}
			for _, sc := range members {
				t.Head = append(t.Head, sc.title)
			}
			for _, srv := range srvs {
				row := []string{srv.title}
				for _, sc := range members {
					row = append(row, s.series(sc.name, srv.name, m.key).cell())
				}
				t.Rows = append(t.Rows, row)
			}
			ts = append(ts, t)
		}
	}
	return ts
}

// busy tells how much else ran on the machine, which makes figures worse.
func (s *session) busy() string {
	other := series{}
	for i, r := range s.Results {
		if v, ok := r.Values["other_cores"]; ok {
			other[i] = v
		}
	}
	sp, ok := other.spread()
	if !ok {
		return ""
	}
	return fmt.Sprintf("Everything else on the machine used %.2f of its %d processors in the median, and %.2f at most.", sp.median, s.Cores, sp.high)
}
