// Package firsthour_test does what somebody does in the first hour with sioplug, at the
// oldest supported versions of the frameworks:
//
//	go test ./firsthour -v
//
// TestFirstHour adds sioplug to applications as the frameworks' own quick starts make
// them. It follows README.md word for word. The official JavaScript client connects with
// a token that the framework's own middleware checks.
//
// TestGettingStarted runs the programs of the getting-started pages as they stand there.
//
// With SIOPLUG_FRESH in the environment, Go downloads all modules anew, as on a machine
// that has never seen them ("make firsthour").
package firsthour_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/sioplug/sioplug/internal/require"
)

const (
	sioplug  = "github.com/sioplug/sioplug"
	released = "v0.1.0" // as what Go takes the checkout
	secret   = "a secret of the application, of 32 bytes"
	patience = 5 * time.Minute
)

// modules are those of sioplug that the applications use.
var modules = []string{sioplug, sioplug + "/integrations/echov5", sioplug + "/integrations/fiberv3"}

// A quickStart is an application in testdata, before there is sioplug.
type quickStart struct {
	framework string   // its module, whose version is the oldest that is supported
	others    []string // other modules that the application has, with their versions
	answer    string   // has a handler answer who is there, from what README's line has found
}

// quickStarts are named after the folders of the integrations.
var quickStarts = map[string]quickStart{
	"gin": {
		framework: "github.com/gin-gonic/gin",
		others:    []string{"github.com/golang-jwt/jwt/v5@v5.2.2"},
		answer:    "return c.Ack(user)",
	},
	"echo": {
		framework: "github.com/labstack/echo/v4", // 4.9 has the middleware for JWT in it
		answer:    "if err != nil { return err }; return c.Ack(token.Claims.(jwt.MapClaims)[\"sub\"])",
	},
	"fiber": {
		framework: "github.com/gofiber/fiber/v2",
		others:    []string{"github.com/gofiber/contrib/jwt@v1.0.10"},
		answer:    "return c.Ack(bearer.Claims.(jwt.MapClaims)[\"sub\"])",
	},
}

func TestFirstHour(t *testing.T) {
	t.Parallel()
	node := require.Tool(t, "node")
	require.NodePackages(t, "../interop")
	env := environment(t)
	for name, start := range quickStarts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guide := readGuide(t, name)
			app := newProject(t, env)
			app.write(t, "main.go", read(t, filepath.Join("testdata", name, "main.go")))
			app.run(t, append([]string{"go", "get", start.framework + "@" + oldest(t, ".", start.framework)}, start.others...)...)
			app.run(t, "go", "get", ".")
			app.run(t, "go", "build", "-o", "before", ".")
			before := app.modules(t)

			app.useCheckout(t)
			app.run(t, guide.get...)
			app.write(t, "main.go", guide.apply(read(t, filepath.Join("testdata", name, "main.go")), start.answer))
			app.run(t, "go", "build", "-o", "after", ".")
			compare(t, start.framework, before, app.modules(t))

			token := token(t)
			url, answer := app.serve(t, "/restricted", token)
			if answer != "Welcome ada" {
				t.Errorf("the application's own route answers %q", answer)
			}
			client := exec.CommandContext(t.Context(), node, "client.mjs", abs(t, "../interop"), url, token)
			if out, err := client.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "ok" {
				t.Errorf("the client: %v\n%s", err, out)
			}
		})
	}
}

// compare fails if sioplug has raised the version of the framework, and tells of others.
func compare(t *testing.T, framework string, before, after map[string]string) {
	t.Helper()
	if after[sioplug] != released {
		t.Errorf("sioplug is %q in the application's modules", after[sioplug])
	}
	for module, version := range before {
		switch now := after[module]; {
		case now == version:
		case module == framework:
			t.Errorf("%s: %s became %s", module, version, now)
		default:
			t.Logf("%s: %s became %s", module, version, now)
		}
	}
	t.Logf("%d modules, before %d", len(after), len(before))
}

func token(t *testing.T) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "ada", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// oldest returns the version of a module that sioplug asks for, in a folder.
func oldest(t *testing.T, folder, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", module)
	cmd.Dir = filepath.Join(checkout(t), folder)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// environment returns the settings of Go for the applications. It makes Go take the
// checkout for a release: the module proxy that is asked first has its number.
func environment(t *testing.T) []string {
	t.Helper()
	proxy := t.TempDir()
	for _, module := range modules {
		release(t, filepath.Join(proxy, module, "@v"))
	}
	proxies := []string{"file://" + proxy}
	env := append(os.Environ(), "GOWORK=off", "GOFLAGS=", "JWT_SECRET="+secret, "GIN_MODE=release")
	if os.Getenv("SIOPLUG_FRESH") != "" {
		env = append(env, "GOMODCACHE="+t.TempDir(), "GOFLAGS=-modcacherw")
	} else {
		proxies = append(proxies, "file://"+filepath.Join(goEnv(t, "GOMODCACHE"), "cache", "download"))
	}
	return append(env, "GOPROXY="+strings.Join(append(proxies, goEnv(t, "GOPROXY")), ","))
}

// release makes a folder of a module proxy, in which a module has one version.
func release(t *testing.T, folder string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"list": released + "\n", released + ".info": `{"Version":"` + released + `","Time":"2026-01-01T00:00:00Z"}`,
	} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func checkout(t *testing.T) string { t.Helper(); return abs(t, "../..") }

func abs(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wait calls f until it reports true, the context ends, or stopped is closed.
func wait(ctx context.Context, stopped <-chan struct{}, f func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-stopped:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
