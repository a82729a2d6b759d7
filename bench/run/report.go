package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
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

// A page is what the template shows. Any part may be missing.
type page struct {
	Compared, Grown, Clustered *session

	Busy             string // how much else was going on
	Summary          table
	Goals, NextGoals table
	Better           []string // where others are
	Details, Growing []table
	ClusterBusy      string
	ClusterBetter    []string
	Clusters         []table
	KeptCompared     string // parts of the page as it was, of which there are no results
	KeptGrown        string
	KeptClustered    string
}

// write writes the report, and the plot if there was a comparison.
func (p page) write(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	file := filepath.Join(dir, "benchmarks.md")
	p, err := p.keep(file)
	if err != nil {
		return err
	}
	if compared := p.Compared; compared != nil {
		p.Busy = compared.busy()
		p.Summary = compared.summary()
		p.Goals, p.NextGoals = compared.goals(), compared.nextGoals()
		p.Better = compared.better()
		p.Details = compared.details(compared.present(comparison(), servers("", "")))
		plot, err := render(plotTemplate, compared.plot())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "benchmarks.svg"), plot, 0o644); err != nil { //nolint:gosec // a document
			return err
		}
	}
	if p.Grown != nil {
		p.Growing = p.Grown.growing()
	}
	if s := p.Clustered; s != nil {
		p.ClusterBusy = s.busy()
		p.ClusterBetter = s.clusterBetter()
		p.Clusters = s.details(s.presentClusters())
	}
	text, err := render(pageTemplate, p)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644) //nolint:gosec // a document
}

// keep takes those parts from the page as it was that there are no results of.
func (p page) keep(file string) (page, error) {
	b, err := os.ReadFile(file) //nolint:gosec // the user says where
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	compared, clustered, grown := parts(string(b))
	if p.Compared == nil {
		p.KeptCompared = compared
	}
	if p.Clustered == nil {
		p.KeptClustered = clustered
	}
	if p.Grown == nil {
		p.KeptGrown = grown
	}
	return p, nil
}

// parts divides a page into what stands between its introduction and its end. Each part
// ends with the line break of its last line.
func parts(text string) (compared, clustered, grown string) {
	const title, introduction = 1, 1
	paragraphs := strings.SplitN(text, "\n\n", title+introduction+1)
	if len(paragraphs) <= title+introduction {
		return "", "", ""
	}
	rest := "\n" + paragraphs[title+introduction]
	if before, after, ok := strings.Cut(rest, "\n## Growth\n"); ok {
		rest, grown = before, "\n## Growth\n"+after
	}
	if before, after, ok := strings.Cut(rest, "\n## Clusters\n"); ok {
		rest, clustered = before, "\n## Clusters\n"+after
	}
	return rest, clustered, grown
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

// present returns those scenarios and servers that the session has results of, with
// numbers of clients in the texts.
func (s *session) present(all []scenario, among []server) ([]scenario, []server) {
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
	return scs, slices.DeleteFunc(among, func(srv server) bool {
		return !slices.ContainsFunc(s.Results, func(r result) bool { return r.Server == srv.name })
	})
}

// ratio is to the baseline, or to the JavaScript server where there is none.
func (s *session) ratio(sc scenario, srv server, key string) series {
	base := baseline
	switch {
	case srv.against != "":
		base = srv.against
	case sc.noBaseline:
		base = reference
	}
	return s.series(sc.name, srv.name, key).over(s.series(sc.name, base, key))
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
	scs, srvs := s.present(comparison(), servers("", ""))
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
				if r, ok := s.ratio(sc, srv, m.key).spread(); ok {
					cell = number(r.median) + "× (" + cell + ")"
				}
				if flaws := s.flaws(sc, srv.name); flaws != "" {
					cell += ", " + flaws
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

// better tells where other servers cost less than ours on net/http, by more than 5%.
func (s *session) better() []string {
	var lines []string
	scs, srvs := s.present(comparison(), servers("", ""))
	for _, sc := range scs {
		for _, m := range sc.metrics[:sc.headline] {
			for _, other := range srvs {
				if strings.HasPrefix(other.name, ours) {
					continue
				}
				if r, ok := s.lessThan(ours, sc, m, other.name); ok {
					lines = append(lines, fmt.Sprintf("%s, %s: %s takes %s of what sioplug takes", sc.title, m.title,
						other.name+inParentheses(s.flaws(sc, other.name)), r))
				}
			}
		}
	}
	return lines
}

// lessThan reports whether another server costs less than one of ours, by more than 5%.
func (s *session) lessThan(own string, sc scenario, m metric, other string) (r spread, ok bool) {
	r, ok = s.series(sc.name, other, m.key).over(s.series(sc.name, own, m.key)).spread()
	return r, ok && r.median < 0.95
}

// details has everything, by scenario.
func (s *session) details(scs []scenario, srvs []server) []table {
	var ts []table
	for _, sc := range scs {
		t := table{Title: sc.title, About: sc.about, Head: []string{""}}
		for i, m := range sc.metrics {
			t.Head = append(t.Head, m.heading())
			if i == 0 {
				t.Head = append(t.Head, "×")
			}
		}
		for _, srv := range srvs {
			row := []string{srv.title + inParentheses(s.flaws(sc, srv.name))}
			for i, m := range sc.metrics {
				row = append(row, s.series(sc.name, srv.name, m.key).cell())
				if i == 0 {
					row = append(row, s.ratio(sc, srv, m.key).cell())
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

// growing has a table for each metric, with a column for each number.
func (s *session) growing() []table {
	var ts []table
	scs, srvs := s.present(growth(0), servers("", ""))
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
