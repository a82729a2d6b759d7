package soak_test

import (
	"bytes"
	"fmt"
	"html"
	"sync"
	"time"
)

// A plot shows what both servers keep together.
type plot struct {
	start time.Time

	mu      sync.Mutex
	samples []sample
	marks   []mark
}

type sample struct {
	at         time.Duration
	heap       uint64
	goroutines int
	clients    int
}

// A mark is a moment with a name.
type mark struct {
	at   time.Duration
	text string
}

func (p *plot) add(s sample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.samples = append(p.samples, s)
}

func (p *plot) mark(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marks = append(p.marks, mark{time.Since(p.start), text})
}

// Measures of the plot, in its own units.
const (
	plotWidth  = 860.0
	plotLeft   = 70.0
	plotRight  = 840.0
	panelSpace = 150.0 // from one panel to the next
	panelSize  = 110.0
	plotTop    = 70.0
)

// svg draws a panel for each figure, over the same time.
func (p *plot) svg(c *counts) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b bytes.Buffer
	height := plotTop + 3*panelSpace
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="#fff"/>`+"\n", plotWidth, height)
	fmt.Fprintf(&b, `<text x="%g" y="20">%s</text>`+"\n", plotLeft, html.EscapeString(c.String()))
	end := p.samples[len(p.samples)-1].at
	x := func(at time.Duration) float64 { return plotLeft + (plotRight-plotLeft)*at.Seconds()/end.Seconds() }
	for i, panel := range []struct {
		title string
		value func(s sample) float64
	}{
		{"live heap of both servers, MB", func(s sample) float64 { return float64(s.heap) / 1e6 }},
		{"goroutines of both servers", func(s sample) float64 { return float64(s.goroutines) }},
		{"clients of both servers", func(s sample) float64 { return float64(s.clients) }},
	} {
		top := plotTop + panelSpace*float64(i)
		p.panel(&b, panel.title, top, x, panel.value)
	}
	for _, m := range p.marks {
		fmt.Fprintf(&b, `<path d="M%.1f %g V%g" stroke="#888" stroke-dasharray="3 3"/>`+"\n", x(m.at), plotTop, height-panelSpace+panelSize)
		anchor := "start" // so that the text stays in the plot
		if m.at > end/2 {
			anchor = "end"
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="%s" fill="#555">%s at %s</text>`+"\n",
			x(m.at), plotTop-24, anchor, html.EscapeString(m.text), m.at.Round(time.Second))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// panel draws one figure, from 0 to its highest value.
func (p *plot) panel(b *bytes.Buffer, title string, top float64, x func(time.Duration) float64, value func(sample) float64) {
	high := 1.0
	for _, s := range p.samples {
		high = max(high, value(s))
	}
	y := func(v float64) float64 { return top + panelSize*(1-v/high) }
	fmt.Fprintf(b, `<text x="%g" y="%g" font-weight="bold">%s</text>`+"\n", plotLeft, top-6, title)
	fmt.Fprintf(b, `<path d="M%g %g V%g H%g" fill="none" stroke="#000"/>`+"\n", plotLeft, top, top+panelSize, plotRight)
	for _, v := range []float64{0, high / 2, high} {
		fmt.Fprintf(b, `<text x="%g" y="%.1f" text-anchor="end">%.4g</text>`+"\n", plotLeft-6, y(v)+4, v)
	}
	b.WriteString(`<polyline fill="none" stroke="#1f77b4" points="`)
	for _, s := range p.samples {
		fmt.Fprintf(b, "%.1f,%.1f ", x(s.at), y(value(s)))
	}
	b.WriteString("\"/>\n")
}
