package main

import (
	_ "embed"
	"math"
	"strconv"
	"strings"
)

//go:embed benchmarks.svg.tmpl
var plotTemplate string

// Measures of the plot, in its own units.
const (
	plotLeft  = 200.0 // of the axis
	plotRight = 860.0
	plotTop   = 84.0 // with one line of the legend
	lane      = 8.0  // of one server, in the row of a scenario
	rowGap    = 10.0
	legendGap = 165.0
	legendRow = 5    // servers in a line
	legendEnd = 22.0 // of a line
)

// A plot has a row for each scenario, and in it a mark for each server, where its
// ratio is on a logarithmic axis.
type plot struct {
	Width, Height, RowMiddle float64
	Note                     float64 // where the note stands
	Top, Bottom              float64 // of the axis
	Ticks, Legend, Rows      []label
	Marks                    []mark
}

// A label is a text at its place.
type label struct {
	X, Y        float64
	Text, Class string
}

// A mark is a median, and the line from the lowest to the highest value.
type mark struct {
	X, Low, High, Y float64
	Text, Class     string
}

func (s *session) plot() plot {
	scs, srvs := s.present(comparison(), servers("", ""))
	p := plot{Width: plotRight + 30}
	for i, srv := range srvs {
		if srv.name != baseline {
			p.Note = legendEnd * float64(i/legendRow)
			p.Legend = append(p.Legend, label{X: 16 + legendGap*float64(i%legendRow), Y: 26 + p.Note, Text: srv.title, Class: class(srv)})
		}
	}
	p.Top = plotTop + p.Note
	p.Bottom = p.Top
	p.Note += 52
	rowHeight := lane*float64(len(p.Legend)) + rowGap
	p.RowMiddle = rowHeight/2 + 4.5 // of a line of text
	low, high := 0.5, 2.0           // of what the axis shows, at least
	for _, sc := range scs {
		row := label{Y: p.Bottom, Text: sc.title}
		for i, srv := range srvs {
			r, ok := s.ratio(sc, srv, sc.metrics[0].key).spread()
			if !ok || r.low <= 0 || srv.name == baseline {
				continue
			}
			low, high = min(low, r.low), max(high, r.high)
			p.Marks = append(p.Marks, mark{
				X: r.median, Low: r.low, High: r.high, Y: row.Y + rowGap/2 + lane*(float64(i)+0.5),
				Text: srv.title + ", " + sc.title + ": " + r.String(), Class: class(srv),
			})
		}
		p.Rows = append(p.Rows, row)
		p.Bottom += rowHeight
	}
	x := func(ratio float64) float64 {
		return math.Round(10*(plotLeft+(plotRight-plotLeft)*math.Log(ratio/low)/math.Log(high/low))) / 10
	}
	for i, m := range p.Marks {
		p.Marks[i].X, p.Marks[i].Low, p.Marks[i].High = x(m.X), x(m.Low), x(m.High)
	}
	for _, t := range []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100} {
		if low <= t && t <= high {
			p.Ticks = append(p.Ticks, label{X: x(t), Text: strconv.FormatFloat(t, 'g', -1, 64)})
		}
	}
	p.Height = p.Bottom + 16
	return p
}

// class is the name of a server in the plot's style sheet.
func class(srv server) string { return strings.ReplaceAll(srv.name, ".", "") }
