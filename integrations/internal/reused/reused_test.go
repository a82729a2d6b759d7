package reused_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	fiber2 "github.com/gofiber/fiber/v2"
	echo4 "github.com/labstack/echo/v4"
	"github.com/valyala/fasthttp"

	"github.com/sioplug/sioplug/integrations/internal/reused"
)

type (
	key     struct{}
	user    struct{ Name string }
	scope   struct{ ctx context.Context }
	wrapped struct {
		user

		inner *scope
	}
	held     struct{ c *fiber2.Ctx }
	anything struct{ v any }
	locked   struct {
		mu sync.Mutex //nolint:unused // that it is there is what matters
		v  any        // guarded by mu
	}
	lockedContext struct {
		mu sync.Mutex //nolint:unused // likewise
		c  *fiber2.Ctx
	}
	ring struct {
		next *ring
		v    any
	}
)

// finders have each framework's contexts, of which none is used.
func finders() map[string]*reused.Finder {
	return map[string]*reused.Finder{
		"fiber": reused.New("siofiber", reused.Fiber, (*fiber2.Ctx)(nil), (*fasthttp.RequestCtx)(nil)),
		"gin":   reused.New("siogin", reused.Gin, (*gin.Context)(nil)),
		"echo":  reused.New("sioecho", reused.Echo, echo4.New().NewContext(nil, nil)),
	}
}

// A value that leads to an object of the framework would be another user's soon.
func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	rc, c2, g := new(fasthttp.RequestCtx), new(fiber2.Ctx), new(gin.Context)
	e := echo4.New().NewContext(nil, nil)
	circle := &ring{v: "x"}
	circle.next = circle
	background := context.Background()
	canceled, cancel := context.WithCancel(context.WithValue(background, key{}, rc))
	defer cancel()
	harmlessCtx, cancel := context.WithTimeout(context.WithValue(background, key{}, "ann"), 1<<40)
	defer cancel()
	for _, tt := range []struct {
		name, framework string
		value           any
		kept            bool
	}{
		{"nil", "fiber", nil, true},
		{"string", "fiber", "ann", true},
		{"struct", "fiber", user{"ann"}, true},
		{"map", "fiber", map[string]any{"a": []any{1, user{}}}, true},
		{"fiber.Map", "fiber", fiber2.Map{"a": 1}, true},
		{"application", "fiber", &struct{ app *fiber2.App }{fiber2.New()}, true},
		{"circle", "fiber", circle, true},
		{"channel", "fiber", make(chan string), true},
		{"nil pointer to a context", "fiber", &held{}, true},
		{"nil function", "fiber", (func())(nil), true},
		{"context", "fiber", harmlessCtx, true},
		{"what a lock guards", "fiber", &locked{v: rc}, true}, // nobody may look

		{"Ctx", "fiber", c2, false},
		{"pointer to Ctx", "fiber", &c2, false},
		{"RequestCtx", "fiber", rc, false},
		{"Request", "fiber", &rc.Request, false},
		{"field", "fiber", &held{c2}, false},
		{"field beside a lock", "fiber", &lockedContext{c: c2}, false},
		{"field of an interface's type", "fiber", anything{c2}, false},
		{"field deep inside", "fiber", &wrapped{inner: &scope{canceled}}, false},
		{"slice", "fiber", []context.Context{background, rc}, false},
		{"slice of anything", "fiber", []any{1, &anything{c2}}, false},
		{"map of Ctx", "fiber", map[string]*fiber2.Ctx{"a": c2}, false},
		{"channel of Ctx", "fiber", make(chan *fiber2.Ctx), false},
		{"context of a context", "fiber", context.WithValue(rc, key{}, 1), false},
		{"context with a Ctx", "fiber", context.WithoutCancel(context.WithValue(background, key{}, c2)), false},
		{"context with a function", "fiber", context.WithValue(background, key{}, func() {}), false},
		{"function", "fiber", func() string { return "ann" }, false},

		{"gin.Context", "gin", g, false},
		{"field with a gin.Context", "gin", &scope{g}, false},
		{"context of a gin.Context", "gin", context.WithValue(g, key{}, 1), false},
		{"user", "gin", &user{"ann"}, true},
		{"echo.Context", "echo", e, false},
		{"field with an echo.Context", "echo", &struct{ c echo4.Context }{e}, false},
		{"echo", "echo", e.Echo(), true},
	} {
		var log strings.Builder
		logger := slog.New(slog.NewTextHandler(&log, nil))
		f := finders()[tt.framework]
		for range 2 {
			if got := f.Allows(tt.value, "key", logger); got != tt.kept {
				t.Errorf("%s: kept %v, want %v", tt.name, got, tt.kept)
			}
		}
		if n := strings.Count(log.String(), "\n"); tt.kept && n > 0 || n > 1 {
			t.Errorf("%s: logged\n%s", tt.name, log.String())
		}
	}
}

// Whoever left a value that is not kept is told once, with the type and the remedy.
func TestWhatIsNotKeptIsLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	f := finders()["fiber"]
	for range 3 {
		f.Allows(&held{new(fiber2.Ctx)}, "user", logger)
		f.Allows(func() {}, "t", logger)
	}
	for _, want := range []string{"*reused_test.held", "where=user", "it has a *fiber.Ctx", "leave copies", "it is a function", "where=t"} {
		if strings.Count(log.String(), want) == 0 {
			t.Errorf("%q is not in the log:\n%s", want, log.String())
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}
