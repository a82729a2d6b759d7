package firsthour_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/require"
)

// A program is one of those of a getting-started page.
type program struct {
	name      string
	framework string   // its module, or "" for none
	folder    string   // of sioplug's module that asks for the oldest supported version
	others    []string // other modules that the program imports, with their versions
}

// pages have the programs of docs/getting-started-*.md, in their order. A module of
// others may ask for a newer framework than sioplug does: then that version is used.
var pages = map[string][]program{
	"gin": {
		{name: "gin", framework: "github.com/gin-gonic/gin", others: []string{"github.com/golang-jwt/jwt/v5@v5.2.2"}},
	},
	"echo": {
		{name: "echo", framework: "github.com/labstack/echo/v4", others: []string{"github.com/labstack/echo-jwt/v4@v4.2.0"}},
		{
			name: "echov5", framework: "github.com/labstack/echo/v5", folder: "integrations/echov5",
			others: []string{"github.com/golang-jwt/jwt/v5@v5.2.2"},
		},
	},
	"fiber": {
		{name: "fiber", framework: "github.com/gofiber/fiber/v2", others: []string{"github.com/gofiber/contrib/jwt@v1.0.10"}},
		{
			name: "fiberv3", framework: "github.com/gofiber/fiber/v3", folder: "integrations/fiberv3",
			others: []string{"github.com/gofiber/contrib/v3/jwt@v1.0.0"},
		},
	},
	"nethttp": {
		{name: "nethttp", others: []string{"github.com/golang-jwt/jwt/v5@v5.2.2"}},
	},
}

// TestGettingStarted builds each program of the pages in a module of its own, runs it,
// signs in as its users do, and talks to it with the official JavaScript client.
func TestGettingStarted(t *testing.T) {
	t.Parallel()
	node := require.Tool(t, "node")
	require.NodePackages(t, "../interop")
	env := environment(t)
	for page, programs := range pages {
		text := read(t, "../../docs/getting-started-"+page+".md")
		sources, html := blocks(text, "go\npackage main\n"), blocks(text, "html\n")
		if len(sources) != len(programs) || len(html) != 1 {
			t.Fatalf("the page for %s has %d programs and %d blocks of HTML", page, len(sources), len(html))
		}
		for i, start := range programs {
			t.Run(start.name, func(t *testing.T) {
				t.Parallel()
				app := newProject(t, env)
				app.write(t, "main.go", "package main\n"+sources[i])
				app.write(t, "index.html", html[0])
				app.build(t, start)

				url, answer := app.serve(t, "/", "")
				if answer != html[0] {
					t.Errorf("the page is %q", answer)
				}
				client := exec.CommandContext(t.Context(), node, "chat.mjs", abs(t, "../interop"), url)
				if out, err := client.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "ok" {
					t.Errorf("the client: %v\n%s", err, out)
				}
			})
		}
	}
}

// build builds the program by the command that the page has for that.
func (p *project) build(t *testing.T, start program) {
	t.Helper()
	if start.framework != "" {
		p.run(t, "go", "get", start.framework+"@"+oldest(t, start.folder, start.framework))
	}
	p.run(t, append([]string{"go", "get"}, start.others...)...)
	before := p.modules(t)
	p.useCheckout(t)
	p.run(t, "go", "get", ".")
	p.run(t, "go", "build", "-o", "after", ".")
	compare(t, start.framework, before, p.modules(t))
}

// blocks returns the code blocks of a page that begin so, without that beginning.
func blocks(page, beginning string) []string {
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+regexp.QuoteMeta(beginning)+"(.*?)```").FindAllStringSubmatch(page, -1) {
		found = append(found, m[1])
	}
	return found
}
