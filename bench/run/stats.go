package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A series is a value in each round in which it was measured.
type series map[int]float64

func (s *session) series(scenario, server, key string) series {
	out := series{}
	for _, r := range s.Results {
		if v, ok := r.Values[key]; ok && r.Scenario == scenario && r.Server == server {
			out[r.Round] = v
		}
	}
	return out
}

// over divides by another series, round by round: what slows the machine down for
// a while is in both.
func (s series) over(base series) series {
	out := series{}
	for round, v := range s {
		if b := base[round]; b > 0 {
			out[round] = v / b
		}
	}
	return out
}

// A spread is what a series comes down to.
type spread struct{ median, low, high float64 }

// spread is not ok if there is nothing.
func (s series) spread() (sp spread, ok bool) {
	if len(s) == 0 {
		return spread{}, false
	}
	v := slices.Sorted(maps.Values(s))
	n := len(v)
	return spread{(v[(n-1)/2] + v[n/2]) / 2, v[0], v[n-1]}, true
}

// number writes three digits, or all before the point, in groups of three.
func number(x float64) string {
	switch {
	case x < 0:
		return "-" + number(-x)
	case x < 9.995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 99.95:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(x, 'f', 0, 64)
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, groups...), ",")
}

// count writes a whole number.
func count(n float64) string {
	if n < 100 {
		return strconv.Itoa(int(n))
	}
	return number(n)
}

// with adds the unit.
func (m metric) with(x float64) string { return strings.TrimSpace(number(x) + " " + m.unit) }

// heading is for a column of numbers without the unit.
func (m metric) heading() string {
	if m.unit == "" {
		return m.title
	}
	return m.title + ", " + m.unit
}

// String is the median, and the range if there is one.
func (sp spread) String() string {
	if number(sp.low) == number(sp.high) {
		return number(sp.median)
	}
	return fmt.Sprintf("%s (%s to %s)", number(sp.median), number(sp.low), number(sp.high))
}
