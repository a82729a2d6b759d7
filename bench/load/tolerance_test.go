package main

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	sio "github.com/sioplug/sioplug/core"
)

// A backwards peer answers the last request first.
type backwards struct {
	requests [][]byte
	other    string // is answered instead, if not empty
}

func (p *backwards) send(_ ws.OpCode, payload []byte) {
	p.requests = append(p.requests, slices.Clone(payload))
}

func (p *backwards) next() (ws.OpCode, []byte, error) {
	last := len(p.requests) - 1
	answer := p.requests[last]
	p.requests = p.requests[:last]
	if p.other != "" {
		answer = []byte(p.other)
	}
	return ws.OpText, answer, nil
}

func TestTolerantRunCountsAnswersOutOfOrder(t *testing.T) {
	ask := func(tolerant bool, other string) (*run, error) {
		r := &run{options: options{tolerant: tolerant, inFlight: 3}}
		r.stop.Store(true)
		return r, r.exchange(&dialogue{script: textScript(10), peer: &backwards{other: other}})
	}
	r, err := ask(true, "")
	if got := [2]int64{r.units.Load(), r.flaws.Load()}; err != nil || got != [2]int64{3, 2} {
		t.Errorf("answers and those out of order: %v, %v, want 3 and 2", got, err)
	}
	if _, err := ask(false, ""); err == nil || !strings.Contains(err.Error(), "want") {
		t.Errorf("err = %v, want a strict run to end", err)
	}
	if _, err := ask(true, `42["echo","0.7xxxxxxx"]`); err == nil || !strings.Contains(err.Error(), "no request waits") {
		t.Errorf("err = %v, want an answer to nothing to end a tolerant run too", err)
	}
}

func TestTolerantRunCountsClientsWithoutAnAnswer(t *testing.T) {
	o := serve(t, on("echo", lostLater()))
	o.tolerant, o.inFlight, o.patience = true, 1, 3*time.Second
	values, err := measure(t.Context(), "echo", o)
	if err != nil || values["unanswered"] != 20 {
		t.Errorf("values = %v, %v, want no client to get all answers", values, err)
	}
}

// lostLater answers the first event of each client.
func lostLater() func(c *sio.Ctx, next sio.Handler) error {
	var answered sync.Map
	return func(c *sio.Ctx, next sio.Handler) error {
		if _, again := answered.LoadOrStore(c.ID(), true); again {
			return nil
		}
		return next(c)
	}
}

func TestTolerantRunCountsCyclesThatFail(t *testing.T) {
	o := serve(t, on("echo", changed("other")))
	o.tolerant, o.dur = true, 100*time.Millisecond
	var values map[string]float64
	for ; values["flaws"] == 0 && o.dur < 30*time.Second; o.dur *= 4 { // on a slow machine nothing may have been done in the time
		var err error
		if values, err = measure(t.Context(), "upgrade", o); err != nil {
			t.Fatal(err)
		}
	}
	if values["flaws"] == 0 || values["flaws"] != values["flaws_of"] {
		t.Errorf("values = %v, want all cycles to have failed", values)
	}
	if _, ok := values["cpu_us"]; ok {
		t.Errorf("values = %v: there is no cycle that CPU time could be divided by", values)
	}
}
