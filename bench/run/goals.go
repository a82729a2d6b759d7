package main

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

// goals has a row for each goal whose metric was measured.
func (s *session) goals() table {
	scs, srvs := s.present(comparison(), servers("", ""))
	t := table{Head: []string{"", "measured", "must", "aim", "reached"}}
	for _, g := range goals() {
		for _, sc := range scs {
			for _, m := range sc.metrics {
				if sc.name != g.scenario || m.key != g.metric {
					continue
				}
				if row := s.goal(g, sc, m, srvs); row != nil {
					t.Rows = append(t.Rows, row)
				}
			}
		}
	}
	return t
}

// goal returns a row, or nil if there is nothing to compare.
func (s *session) goal(g goal, sc scenario, m metric, srvs []server) []string {
	measured := s.series(sc.name, g.server, m.key)
	what, unit := sc.title+": "+m.title, ""
	if g.over != "" {
		measured = measured.over(s.series(sc.name, g.over, m.key))
		unit = "×"
	}
	sp, ok := measured.spread()
	if !ok {
		return nil
	}
	for _, srv := range srvs {
		switch srv.name {
		case g.server:
			if g.server != ours {
				what += ", " + srv.title
			}
		case g.over:
			what += ", over " + srv.title
		}
	}
	reached := "–"
	switch {
	case sp.median <= g.aim:
		reached = "aim"
	case sp.median <= g.must:
		reached = "must"
	}
	return []string{what, sp.String() + unit, number(g.must) + unit, number(g.aim) + unit, reached}
}
