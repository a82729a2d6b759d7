// Package layers_test checks what the packages of each folder import. Imports point
// one way:
//
//	examples, bench, test -> adapters, admin, integrations, middleware, observe, client -> core -> internal
package layers_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sioplug/sioplug/"

// root is the top of the repository.
var root = filepath.Join("..", "..")

// A layer says what the packages of a folder and of the folders below may import
// besides each other and the standard library. Of several layers that match a
// package, the one with the longest folder counts.
type layer struct {
	folder string
	ours   []string // packages of this repository; "core/..." means core and all below
	tests  []string // more of them, for test files alone
	others []string // other modules
}

var layers = []layer{
	{
		folder: "internal",
		others: []string{"github.com/go-json-experiment/json", "github.com/klauspost/compress", "github.com/gobwas/ws"},
	},

	{folder: "internal/encoding", ours: []string{"core/parser", "internal/..."}}, // core/parser imports nothing
	{folder: "internal/msgpackjson", ours: []string{"internal/..."}, others: []string{"github.com/tinylib/msgp"}},

	{
		folder: "core",
		ours:   []string{"core/adapter", "core/engine", "core/nethttp", "core/parser", "internal/..."},
		tests:  []string{"core/..."},
	},
	{folder: "core/adapter", ours: []string{"internal/..."}, tests: []string{"core", "core/siotest"}},
	{folder: "core/engine", ours: []string{"internal/..."}, tests: []string{"core/internal/...", "core/nethttp", "core/siotest"}},
	{folder: "core/nethttp", ours: []string{"core/engine"}, tests: []string{"core/...", "internal/..."}},
	{
		folder: "core/parser",
		ours:   []string{"internal/..."}, tests: []string{"core", "core/siotest"}, others: []string{"github.com/tinylib/msgp"},
	},
	{folder: "core/siotest", ours: []string{"core", "core/adapter", "core/parser", "internal/..."}, others: []string{"github.com/gobwas/ws"}},
	{folder: "core/internal", ours: []string{"core/...", "internal/..."}, others: []string{"github.com/gobwas/ws"}},

	{
		folder: "adapters/cluster",
		ours:   []string{"adapters/internal/...", "core/adapter", "internal/..."}, tests: []string{"core", "core/siotest"},
	},
	{
		folder: "adapters/cluster/forward",
		ours:   []string{"adapters/cluster", "core/engine", "core/nethttp", "internal/..."}, tests: []string{"core", "core/siotest"},
	},
	{
		folder: "adapters/redis",
		ours:   []string{"adapters/cluster", "adapters/internal/...", "core/adapter", "internal/..."},
		tests:  []string{"core", "core/siotest"},
		others: []string{"github.com/redis/go-redis/v9"},
	},
	{
		folder: "adapters/nats",
		ours:   []string{"adapters/cluster", "adapters/internal/...", "core/adapter", "internal/..."},
		tests:  []string{"core", "core/siotest"},
		others: []string{"github.com/nats-io/nats.go", "github.com/nats-io/nats-server/v2"},
	},
	{
		folder: "adapters/postgres",
		ours:   []string{"adapters/cluster", "adapters/internal/...", "internal/..."},
		tests:  []string{"core", "core/adapter", "core/siotest"},
		others: []string{"github.com/jackc/pgx/v5"},
	},
	{
		folder: "adapters/internal",
		ours:   []string{"adapters/cluster", "core/adapter", "internal/..."}, others: []string{"github.com/tinylib/msgp"},
	},

	{
		folder: "middleware/auth",
		ours:   []string{"core", "core/adapter", "internal/..."}, tests: []string{"core/siotest", "middleware/ratelimit"},
		others: []string{"github.com/golang-jwt/jwt/v5", "github.com/MicahParks/jwkset"},
	},
	{folder: "middleware/idempotency", ours: []string{"core", "internal/..."}, tests: []string{"core/siotest"}},
	{folder: "middleware/ratelimit", ours: []string{"core", "internal/..."}, tests: []string{"core/adapter", "core/siotest"}},
	{
		folder: "middleware/users",
		ours:   []string{"core", "core/adapter", "internal/..."}, tests: []string{"core/siotest", "adapters/cluster", "middleware/auth"},
	},
	{
		folder: "middleware/ratelimit/redislimit",
		ours:   []string{"middleware/ratelimit", "internal/..."}, tests: []string{"core", "core/siotest"},
		others: []string{"github.com/redis/go-redis/v9"},
	},

	{
		folder: "client",
		ours:   []string{"client/internal/...", "core", "core/parser", "internal/..."}, tests: []string{"core/parser/msgpack", "core/siotest", "middleware/idempotency"},
	},
	{folder: "client/internal", ours: []string{"internal/..."}},
	{folder: "cmd", ours: []string{"client", "core"}},

	{
		folder: "admin",
		ours:   []string{"core", "core/engine", "middleware/ratelimit", "internal/..."}, tests: []string{"core/adapter", "core/siotest"},
		others: []string{"golang.org/x/crypto"},
	},
	{folder: "admin/cmd"},

	{folder: "observe/internal", ours: []string{"core", "internal/labels"}, tests: []string{"core/adapter", "core/siotest"}},
	{
		folder: "observe/prometheus",
		ours:   []string{"core", "observe/internal/metrics"}, tests: []string{"core/adapter", "core/siotest", "observe/internal/paired"},
		others: []string{"github.com/prometheus/client_golang"},
	},
	{
		folder: "observe/otel",
		ours:   []string{"core", "internal/labels", "internal/rawjson", "internal/rescue", "observe/internal/metrics"},
		tests:  []string{"client", "core/adapter", "core/parser/msgpack", "core/siotest", "internal/exampletb", "observe/internal/paired"},
		others: []string{"go.opentelemetry.io/otel"},
	},

	{folder: "integrations", tests: []string{"core"}},
	{
		folder: "integrations/internal",
		ours:   []string{"core", "core/engine", "core/siotest", "internal/..."},
		others: []string{"github.com/valyala/fasthttp", "github.com/fasthttp/websocket", "golang.org/x/sys", "go.uber.org/goleak"},
	},
	mount("gin", "github.com/gin-gonic/gin", "core/engine", "core/nethttp"),
	mount("echo", "github.com/labstack/echo/v4", "core/engine", "core/nethttp"),
	mount("echov5", "github.com/labstack/echo/v5", "core/engine", "core/nethttp"),
	mount("fiber", "github.com/gofiber/fiber/v2"),
	mount("fiberv3", "github.com/gofiber/fiber/v3"),

	{folder: "examples", ours: []string{"adapters/...", "admin", "client", "core/...", "middleware/...", "integrations/..."}, tests: []string{"internal/..."}, others: []string{"*"}},
	{folder: "bench", ours: []string{"adapters/...", "client", "core/...", "middleware/...", "integrations/...", "internal/..."}, others: []string{"*"}},
	{folder: "test", ours: []string{"adapters/...", "admin", "client/...", "core/...", "middleware/...", "integrations/...", "internal/...", "examples/...", "observe/..."}, others: []string{"*"}},
	{folder: "scripts", others: []string{"*"}},
}

// mount returns the layer of an integration.
func mount(folder, framework string, ours ...string) layer {
	return layer{
		folder: "integrations/" + folder,
		ours:   append([]string{"core", "integrations/internal/...", "internal/..."}, ours...),
		tests:  []string{"core/siotest"},
		others: []string{framework},
	}
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	used := make(map[string]bool)
	files := 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if hidden := strings.HasPrefix(d.Name(), ".") && name != root; hidden || d.Name() == "node_modules" || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go"):
			return nil
		}
		files++
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		return checkFile(t, name, filepath.ToSlash(rel), used)
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 300 {
		t.Errorf("only %d files were read", files)
	}
	for _, l := range layers {
		if !used[l.folder] {
			t.Errorf("there is no package in the folder %s: remove its layer", l.folder)
		}
	}
}

func checkFile(t *testing.T, name, rel string, used map[string]bool) error {
	t.Helper()
	l := layerOf(path.Dir(rel))
	if l == nil {
		t.Errorf("%s is in no layer: say in this test what its folder may import", rel)
		return nil
	}
	used[l.folder] = true
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range f.Imports {
		pkg, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		if !l.allows(pkg, strings.HasSuffix(rel, "_test.go")) {
			t.Errorf("%s imports %s: the layer of %s does not allow that", rel, pkg, l.folder)
		}
	}
	return nil
}

func layerOf(folder string) *layer {
	var found *layer
	for i := range layers {
		l := &layers[i]
		if within(folder, l.folder) && (found == nil || len(l.folder) > len(found.folder)) {
			found = l
		}
	}
	return found
}

// within reports whether a package is in a folder, or in one below.
func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

// thirdParty tells other modules from the standard library.
var thirdParty = regexp.MustCompile(`^[^/]+\.[^/]+/`)

func (l *layer) allows(pkg string, test bool) bool {
	if own, ok := strings.CutPrefix(pkg, module); ok {
		return within(own, l.folder) && layerOf(own) == l || matches(l.ours, own) || test && matches(l.tests, own)
	}
	if !thirdParty.MatchString(pkg) || test {
		return true
	}
	for _, m := range l.others {
		if m == "*" || within(pkg, m) {
			return true
		}
	}
	return false
}

func matches(patterns []string, pkg string) bool {
	for _, p := range patterns {
		if folder, ok := strings.CutSuffix(p, "/..."); ok && within(pkg, folder) || p == pkg {
			return true
		}
	}
	return false
}

// TestWhatProgramsLink: the core and the middleware bring no framework and no Redis
// client into a program, not even through another module.
func TestWhatProgramsLink(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the go command")
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-C", root, "-deps", "./core/...", "./client/...", "./middleware/...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	packages := strings.Fields(string(out))
	if len(packages) < 100 {
		t.Errorf("only %d packages: %q", len(packages), packages)
	}
	unwanted := regexp.MustCompile(`gin-gonic|labstack|gofiber|valyala|fasthttp|go-chi|redis/go-redis`)
	for _, pkg := range packages {
		if unwanted.MatchString(pkg) {
			t.Errorf("the core or the middleware links %s", pkg)
		}
	}
}

// TestLayersAllow shows that the check can fail.
func TestLayersAllow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		folder, pkg string
		test, want  bool
	}{
		{"internal/rooms", "sync", false, true},
		{"internal/rooms", module + "internal/rescue", false, true},
		{"internal/rooms", module + "core/adapter", false, false},
		{"internal/rooms", module + "core", true, false},
		{"core", module + "core/engine", false, true},
		{"core", module + "core/siotest", false, false},
		{"core", module + "core/siotest", true, true},
		{"core", module + "middleware/auth", true, false},
		{"core", "github.com/gin-gonic/gin", false, false},
		{"core/engine", module + "core", false, false},
		{"core/parser/msgpack", module + "core/parser", false, true},
		{"middleware/auth", module + "core/engine", false, false},
		{"middleware/ratelimit", module + "middleware/ratelimit/redislimit", false, false},
		{"middleware/ratelimit", "github.com/redis/go-redis/v9", false, false},
		{"integrations/gin", module + "integrations/echo", false, false},
		{"integrations/gin", "github.com/labstack/echo/v4", false, false},
		{"integrations/gin", "github.com/gin-gonic/gin/binding", false, true},
		{"examples/chat", module + "test/interop", false, false},
	} {
		if got := layerOf(tt.folder).allows(tt.pkg, tt.test); got != tt.want {
			t.Errorf("%s imports %s (test file: %t): allowed %t, want %t", tt.folder, tt.pkg, tt.test, got, tt.want)
		}
	}
}
