package ratelimit_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

func TestMisusePanicsAndNamesTheFix(t *testing.T) {
	t.Parallel()
	memory := ratelimit.NewMemory(0)
	for name, tt := range map[string]struct {
		f    func()
		want string
	}{
		"no events":         {func() { ratelimit.PerSocket(0, time.Second) }, "use numbers above 0"},
		"negative events":   {func() { ratelimit.PerEvent(-1, time.Second) }, "use numbers above 0"},
		"no time":           {func() { ratelimit.PerIP(1, 0) }, "use numbers above 0"},
		"negative time":     {func() { ratelimit.Handshakes(1, -1) }, "use numbers above 0"},
		"no user":           {func() { ratelimit.PerUser(nil, 1, time.Second) }, "needs a function that tells the user"},
		"no user of many":   {func() { ratelimit.MaxPerUser(nil, 1) }, "needs a function that tells the user"},
		"no key":            {func() { ratelimit.Per(nil, 1, time.Second) }, "needs a function that tells the key"},
		"no sockets":        {func() { ratelimit.MaxPerIP(0) }, "use a number above 0"},
		"no rooms":          {func() { ratelimit.MaxRooms(0) }, "has to be above 0"},
		"nothing in flight": {func() { ratelimit.InFlight(0) }, "has to be above 0"},
		"Burst":             {func() { ratelimit.Burst(0) }, "has to be above 0"},
		"Cost":              {func() { ratelimit.Cost(nil) }, "needs a function"},
		"Delay":             {func() { ratelimit.Delay(0) }, "has to be above 0"},
		"DisconnectAfter":   {func() { ratelimit.DisconnectAfter(0) }, "has to be above 0"},
		"In nothing":        {func() { ratelimit.In(nil, "a") }, "needs a limiter and a name"},
		"In without a name": {func() { ratelimit.In(memory, "") }, "needs a limiter and a name"},
		"In with a colon":   {func() { ratelimit.In(memory, "a:b") }, "without a colon"},
		"CountTimeout":      {func() { ratelimit.CountTimeout(0) }, "has to be above 0"},
		"MaxKeys":           {func() { ratelimit.MaxKeys(0) }, "has to be above 0"},
		"MaxKeys and In": {func() {
			ratelimit.PerIP(1, time.Second, ratelimit.MaxKeys(9), ratelimit.In(memory, "a"))
		}, "give the number to NewMemory"},
		"IPv6Prefix of 0":   {func() { ratelimit.IPv6Prefix(0) }, "from 1 to 128"},
		"IPv6Prefix of 129": {func() { ratelimit.IPv6Prefix(129) }, "from 1 to 128"},
		"NewMemory":         {func() { ratelimit.NewMemory(-1) }, "use 0 for the default"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				p := recover()
				if s := fmt.Sprint(p); !strings.HasPrefix(s, "ratelimit: ") || !strings.Contains(s, tt.want) {
					t.Errorf("panic %v, want %q in it", p, tt.want)
				}
			}()
			tt.f()
		})
	}
}

func TestNamesOfLimits(t *testing.T) {
	t.Parallel()
	in := ratelimit.In(ratelimit.NewMemory(0), "shared")
	for _, tt := range []struct {
		want string
		opts []ratelimit.Option
	}{
		{"socket", nil},
		{"mine", []ratelimit.Option{ratelimit.Name("mine")}},
		{"shared", []ratelimit.Option{in}},
		{"mine", []ratelimit.Option{ratelimit.Name("mine"), in}},
		{"mine", []ratelimit.Option{in, ratelimit.Name("mine")}},
	} {
		var seen refusals
		mw := ratelimit.PerSocket(1, time.Minute, append(tt.opts, ratelimit.Observe(seen.observe))...)
		c, _ := siotest.NewCtx(t, "post")
		h := mw(func(*sio.Ctx) error { return nil })
		_, _ = h(c), h(c)
		if r := seen.all(); len(r) != 1 || r[0].Limit != tt.want {
			t.Errorf("observed %+v, want %q", r, tt.want)
		}
	}
}

func TestMaxKeysBoundsALimit(t *testing.T) {
	t.Parallel()
	n := 0
	mw := ratelimit.Per(func(*sio.Ctx) string { return fmt.Sprint(n) }, 1, time.Hour, ratelimit.MaxKeys(2))
	c, _ := siotest.NewCtx(t, "post")
	h := mw(func(*sio.Ctx) error { return nil })
	for n = range 3 {
		if err := h(c); err != nil {
			t.Fatal(err)
		}
	}
	refused := 0
	for n = range 3 {
		if h(c) != nil {
			refused++
		}
	}
	if refused == 3 {
		t.Error("three keys are known, want two at most")
	}
}

// A nil logger is the default one, and must not be what a flood runs into.
func TestNilLoggerAndObserver(t *testing.T) {
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	log := new(logbook)
	slog.SetDefault(log.logger())
	mw := ratelimit.PerSocket(1, time.Minute, ratelimit.Logger(nil), ratelimit.Observe(nil), ratelimit.Drop())
	c, _ := siotest.NewCtx(t, "post")
	h := mw(func(*sio.Ctx) error { return nil })
	if err := h(c); err != nil {
		t.Error(err)
	}
	if err := h(c); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "event dropped") {
		t.Errorf("not logged:\n%s", log)
	}
}
