package main

import (
	"cmp"
	"slices"
	"strings"
)

// A goal is what a metric of ours has to come to, as a multiple of another server's
// if there is one: must is better than every Socket.IO server that was measured
// before the first line of sioplug, aim is near what was reached then by programs
// without Socket.IO that were written for one scenario each.
type goal struct {
	scenario, metric string
	server, over     string
	must, aim        float64
}

func goals() []goal {
	var gs []goal
	own := func(scenario, metric string, must, aim float64) {
		gs = append(gs, goal{scenario, metric, ours, "", must, aim})
	}
	over := func(base, scenario, metric string, must, aim float64) {
		gs = append(gs, goal{scenario, metric, ours, base, must, aim})
	}
	own("idle", "bytes_gc", 10_000, 7000)
	own("idle", "bytes_settled", 12_000, 8500)
	gs = append(gs, goal{"idle", "bytes_gc", "sioplug-fiber", "", 12_000, 7500})
	over(baseline, "idle", "beat_cpu_us", 1.3, 1)
	over(baseline, "echo", "cpu_us", 1.4, 1.15)
	over(baseline, "echo16", "cpu_us", 0.6, 0.3)
	over(baseline, "rate", "p99_us", 1.5, 1.1)
	over(baseline, "ack", "cpu_us", 1.4, 1.1)
	over(baseline, "binary", "cpu_us", 1.3, 0.8)
	over(baseline, "json", "cpu_us", 1.2, 1)
	over(baseline, "sonic", "cpu_us", 0.7, 0.5)
	over(baseline, "bcast1k", "cpu_us", 1.2, 1)
	over(baseline, "bcast1k", "p99_us", 1.5, 1)
	over(reference, "bcast1k", "p99_us", 1, 1)
	over(baseline, "bcast5k", "cpu_us", 1.1, 0.95)
	over(baseline, "bcast5k", "p99_us", 1.5, 1)
	over(reference, "bcast5k", "p99_us", 1, 1)
	over(baseline, "burst", "cpu_us", 0.3, 0.15)
	over(baseline, "rooms", "cpu_us", 1.3, 1.05)
	over(baseline, "connect", "cpu_us", 1.6, 1.15)
	over(baseline, "polling", "cpu_us", 1.5, 1.2)
	over(reference, "upgrade", "cpu_us", 0.3, 0.15)
	return gs
}

// A nextGoal is what a metric is to come to now that every must is met.
type nextGoal struct {
	scenario, metric string
	server, over     string
	value            float64
}

func nextGoals() []nextGoal {
	const fiber = "sioplug-fiber"
	cpu := func(scenario string, value float64) nextGoal {
		return nextGoal{scenario, "cpu_us", ours, baseline, value}
	}
	return []nextGoal{
		{"idle5k", "bytes_gc", ours, "", 5000},
		{"idle5k", "bytes_gc", fiber, "", 5000},
		{"parked", "bytes_gc", ours, "", 2500},
		cpu("echo", 1.05),
		cpu("echo16", 0.3),
		cpu("rate", 1.05),
		{"rate", "p999_us", ours, baseline, 2},
		cpu("ack", 1),
		cpu("binary", 0.8),
		cpu("json", 0.6),
		cpu("sonic", 0.43),
		cpu("polling", 1.05),
		{"polling", "cpu_us", fiber, baseline, 0.75},
		cpu("bcast1k", 0.8),
		cpu("bcast5k", 0.85),
		cpu("burst", 0.08),
		cpu("rooms", 0.95),
		cpu("connect", 1),
		{"upgrade", "cpu_us", ours, "", 230},
	}
}

// goals has a row for each goal whose metric was measured.
func (s *session) goals() table {
	scs, srvs := s.present(comparison(), servers("", ""))
	t := table{Head: []string{"", "measured", "must", "aim", "reached"}}
	for _, g := range goals() {
		if sc, m, ok := metricOf(scs, g.scenario, g.metric); ok {
			if row := s.goal(g, sc, m, srvs); row != nil {
				t.Rows = append(t.Rows, row)
			}
		}
	}
	return t
}

func metricOf(scs []scenario, name, key string) (sc scenario, m metric, ok bool) {
	for _, sc := range scs {
		for _, m := range sc.metrics {
			if sc.name == name && m.key == key {
				return sc, m, true
			}
		}
	}
	return sc, m, false
}

// goal returns a row, or nil if there is nothing to compare.
func (s *session) goal(g goal, sc scenario, m metric, srvs []server) []string {
	sp, ok := s.relative(sc, g.server, g.over, m).spread()
	if !ok {
		return nil
	}
	reached := "–"
	switch {
	case sp.median <= g.aim:
		reached = "aim"
	case sp.median <= g.must:
		reached = "must"
	}
	unit := unitOver(g.over)
	return []string{goalTitle(sc, m, g.server, g.over, srvs), sp.String() + unit, number(g.must) + unit, number(g.aim) + unit, reached}
}

// relative is what a server took, as a multiple of another one if it is named.
func (s *session) relative(sc scenario, server, over string, m metric) series {
	measured := s.series(sc.name, server, m.key)
	if over == "" {
		return measured
	}
	return measured.over(s.series(sc.name, over, m.key))
}

func unitOver(over string) string {
	if over == "" {
		return ""
	}
	return "×"
}

func goalTitle(sc scenario, m metric, server, over string, srvs []server) string {
	parts := []string{sc.title + ": " + m.title}
	for _, srv := range srvs {
		switch srv.name {
		case server:
			if server != ours {
				parts = append(parts, srv.title)
			}
		case over:
			parts = append(parts, "over "+srv.title)
		}
	}
	return strings.Join(parts, ", ")
}

// nextGoals has a row for each next goal whose metric was measured, with the other
// Socket.IO servers beside ours.
func (s *session) nextGoals() table {
	scs, srvs := s.present(comparison(), servers("", ""))
	others := slices.DeleteFunc(slices.Clone(srvs), func(srv server) bool {
		return strings.HasPrefix(srv.name, ours) || srv.name == baseline
	})
	t := table{Head: slices.Concat([]string{"", "next goal", "sioplug"}, titles(others), []string{"reached", "ahead of sioplug"})}
	for _, g := range nextGoals() {
		sc, m, ok := metricOf(scs, g.scenario, g.metric)
		if !ok {
			continue
		}
		sp, ok := s.relative(sc, g.server, g.over, m).spread()
		if !ok {
			continue
		}
		unit := unitOver(g.over)
		row := []string{goalTitle(sc, m, g.server, g.over, srvs), number(g.value) + unit, sp.String() + unit + inParentheses(s.flaws(sc, g.server))}
		var ahead []string
		for _, other := range others {
			cell := "–"
			if sp, ok := s.relative(sc, other.name, g.over, m).spread(); ok {
				cell = number(sp.median) + unit
			}
			row = append(row, cell+inParentheses(s.flaws(sc, other.name)))
			if _, ok := s.lessThan(g.server, sc, m, other.name); ok {
				ahead = append(ahead, other.name)
			}
		}
		reached := "–"
		if sp.median <= g.value {
			reached = "yes"
		}
		t.Rows = append(t.Rows, append(row, reached, cmp.Or(strings.Join(ahead, ", "), "–")))
	}
	return t
}
