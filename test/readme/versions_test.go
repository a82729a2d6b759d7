package readme_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A requirement is where a version of docs/versions.md comes from: the module that asks
// for it, and what it asks for.
type requirement struct{ folder, module string }

// supported has the rows of the table, and where the oldest versions come from. The
// newest ones are those of the module "test".
var supported = map[string][]requirement{
	"Gin":                      {{"", "github.com/gin-gonic/gin"}},
	"Echo 4":                   {{"", "github.com/labstack/echo/v4"}},
	"Echo 5":                   {{"integrations/echov5", "github.com/labstack/echo/v5"}},
	"Fiber 2":                  {{"", "github.com/gofiber/fiber/v2"}, {"", "github.com/valyala/fasthttp"}},
	"Fiber 3":                  {{"integrations/fiberv3", "github.com/gofiber/fiber/v3"}, {"integrations/fiberv3", "github.com/valyala/fasthttp"}},
	"golang-jwt/jwt":           {{"", "github.com/golang-jwt/jwt/v5"}},
	"jackc/pgx":                {{"adapters/postgres", "github.com/jackc/pgx/v5"}},
	"nats-io/nats.go":          {{"adapters/nats", "github.com/nats-io/nats.go"}},
	"OpenTelemetry":            {{"observe/otel", "go.opentelemetry.io/otel/trace"}},
	"prometheus/client_golang": {{"observe/prometheus", "github.com/prometheus/client_golang"}},
	"redis/go-redis":           {{"middleware/ratelimit/redislimit", "github.com/redis/go-redis/v9"}},
}

func TestVersionsAreThoseOfTheModules(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/versions.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(strings.Trim(line, "|\n "), "|"); len(cells) == 3 {
			rows[strings.TrimSpace(cells[0])] = cells[1:]
		}
	}
	for name, from := range supported {
		if len(rows[name]) == 0 {
			t.Errorf("no row for %s", name)
			continue
		}
		var oldest, newest []string
		for _, r := range from {
			oldest = append(oldest, required(t, r))
			newest = append(newest, required(t, requirement{"test", r.module}))
		}
		want(t, name+", oldest", rows[name][0], oldest)
		want(t, name+", newest", rows[name][1], newest)
	}
	for _, folder := range []string{"", "integrations/echov5", "integrations/fiberv3", "middleware/ratelimit/redislimit", "adapters/redis", "adapters/nats", "adapters/postgres", "observe/otel", "observe/prometheus"} {
		if got := goVersion(t, folder); !strings.HasPrefix(got, strings.TrimSpace(rows["Go"][0])+".") {
			t.Errorf("Go: %s in the module %q, and %s in the table", got, folder, rows["Go"][0])
		}
	}
}

// number matches a version.
var number = regexp.MustCompile(`\d+(\.\d+)+`)

func want(t *testing.T, what, cell string, versions []string) {
	t.Helper()
	if got, want := strings.Join(number.FindAllString(cell, -1), " "), strings.Join(versions, " "); got != want {
		t.Errorf("%s: %s in the table, and %s in go.mod", what, got, want)
	}
}

// required returns the version of a module that another one asks for.
func required(t *testing.T, r requirement) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(r.module) + ` v(\S+)`).FindStringSubmatch(goMod(t, r.folder))
	if found == nil {
		t.Fatalf("%s does not ask for %s", filepath.Join(r.folder, "go.mod"), r.module)
	}
	return found[1]
}

func goVersion(t *testing.T, folder string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^go (\S+)`).FindStringSubmatch(goMod(t, folder))
	if found == nil {
		t.Fatalf("%s names no version of Go", filepath.Join(folder, "go.mod"))
	}
	return found[1]
}

func goMod(t *testing.T, folder string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", folder, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
