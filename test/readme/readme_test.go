// Package readme_test keeps the code in README.md and in docs compiling.
package readme_test

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// goBlock matches a block of Go in a Markdown file.
var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

func TestCodeInDocumentsCompiles(t *testing.T) {
	t.Parallel()
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range append(docs, "../../README.md") {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		blocks := goBlock.FindAllSubmatch(text, -1)
		if doc == "../../README.md" && len(blocks) == 0 {
			t.Fatal("README.md has no code")
		}
		t.Run(filepath.Base(doc), func(t *testing.T) {
			t.Parallel()
			var together []string // statements, which do not get in each other's way
			for _, b := range blocks {
				block := string(b[1])
				if strings.HasPrefix(block, "package main\n") {
					program(t, block)
				} else if f, ok := enclose(block); ok {
					together = append(together, f)
				} else {
					file := complete(t, block)
					vet(t, block, file, preamble(t, names(parse(t, file))))
				}
			}
			if len(together) > 0 {
				all := strings.Join(together, "\n")
				vet(t, all, complete(t, all), preamble(t, nil))
			}
		})
	}
}

// program compiles a program that is complete, or runs its tests if it has some.
func program(t *testing.T, block string) {
	t.Helper()
	if !strings.Contains(block, "\nfunc Test") {
		vet(t, block, block)
		return
	}
	name := filepath.Join(t.TempDir(), "program_test.go")
	if err := os.WriteFile(name, []byte(block), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "test", name).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, block)
	}
}

// vet compiles files, each a whole one of the same package.
func vet(t *testing.T, block string, files ...string) {
	t.Helper()
	dir := t.TempDir()
	args := []string{"vet"}
	for i, f := range files {
		name := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(name, []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, block)
	}
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "", file, parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	return f
}

// enclose makes a function of statements, if they are some. Their variables count
// as used.
func enclose(block string) (declaration string, ok bool) {
	declaration = "func _() {\n" + block + used("\n"+block) + "\n}\n"
	_, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+declaration, 0)
	return declaration, err == nil
}

// imports are the packages that documents can use without saying so.
func imports() map[string]string {
	return map[string]string{
		"regexp": "regexp", "slices": "slices", "synctest": "testing/synctest", "testing": "testing",
		"adapter": "github.com/sioplug/sioplug/core/adapter",
		"ecdsa":   "crypto/ecdsa", "ed25519": "crypto/ed25519", "rsa": "crypto/rsa",
		"context": "context", "errors": "errors", "expvar": "expvar", "fmt": "fmt", "http": "net/http", "log": "log", "net": "net", "os": "os", "strings": "strings", "time": "time",
		"gin": "github.com/gin-gonic/gin", "echo": "github.com/labstack/echo/v4", "fiber": "github.com/gofiber/fiber/v2",
		"adaptor": "github.com/gofiber/fiber/v2/middleware/adaptor",
		"jwt":     "github.com/golang-jwt/jwt/v5", "redis": "github.com/redis/go-redis/v9",
		"echo5": "github.com/labstack/echo/v5", "fiber3": "github.com/gofiber/fiber/v3",
		"fiber3jwt": "github.com/gofiber/contrib/v3/jwt", "compress": "github.com/gofiber/fiber/v2/middleware/compress",
		"echomw": "github.com/labstack/echo/v4/middleware",
		"chi":    "github.com/go-chi/chi/v5", "middleware": "github.com/go-chi/chi/v5/middleware",
		"sio":     "github.com/sioplug/sioplug/core",
		"siotest": "github.com/sioplug/sioplug/core/siotest",
		"engine":  "github.com/sioplug/sioplug/core/engine",
		"siogin":  "github.com/sioplug/sioplug/integrations/gin", "sioecho": "github.com/sioplug/sioplug/integrations/echo",
		"siofiber": "github.com/sioplug/sioplug/integrations/fiber", "siofiberv3": "github.com/sioplug/sioplug/integrations/fiberv3",
		"sioechov5": "github.com/sioplug/sioplug/integrations/echov5",
		"auth":      "github.com/sioplug/sioplug/middleware/auth", "ratelimit": "github.com/sioplug/sioplug/middleware/ratelimit",
		"users":     "github.com/sioplug/sioplug/middleware/users",
		"sioclient": "github.com/sioplug/sioplug/client", "idempotency": "github.com/sioplug/sioplug/middleware/idempotency",
		"redisadapter": "github.com/sioplug/sioplug/adapters/redis",
		"forward":      "github.com/sioplug/sioplug/adapters/cluster/forward",
		"natsadapter":  "github.com/sioplug/sioplug/adapters/nats", "nats": "github.com/nats-io/nats.go",
		"postgresadapter": "github.com/sioplug/sioplug/adapters/postgres", "pgxpool": "github.com/jackc/pgx/v5/pgxpool",
		"siotel":        "github.com/sioplug/sioplug/observe/otel",
		"sioprometheus": "github.com/sioplug/sioplug/observe/prometheus", "prometheus": "github.com/prometheus/client_golang/prometheus",
		"sioadmin":   "github.com/sioplug/sioplug/admin",
		"cluster":    "github.com/sioplug/sioplug/adapters/cluster",
		"redislimit": "github.com/sioplug/sioplug/middleware/ratelimit/redislimit",
	}
}

// complete makes a file of declarations: it imports what they use.
func complete(t *testing.T, declarations string) string {
	t.Helper()
	var file strings.Builder
	file.WriteString("package snippets\n")
	known := imports()
	ast.Inspect(parse(t, "package snippets\n"+declarations), func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && known[x.Name] != "" {
			fmt.Fprintf(&file, "import %s %q\n", x.Name, known[x.Name])
			delete(known, x.Name)
		}
		return true
	})
	file.WriteString(declarations)
	return file.String()
}

// names are those that a file declares.
func names(f *ast.File) (names []string) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name.Name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				names = append(names, specNames(s)...)
			}
		}
	}
	return names
}

func specNames(s ast.Spec) (names []string) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		return []string{s.Name.Name}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			names = append(names, n.Name)
		}
	}
	return names
}

// preamble returns what documents take for granted, without these names, which one
// declares itself.
func preamble(t *testing.T, without []string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/preamble.go")
	if err != nil {
		t.Fatal(err)
	}
	f := parse(t, string(text))
	declared := func(names []string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(without, n) })
	}
	f.Decls = slices.DeleteFunc(f.Decls, func(d ast.Decl) bool {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			return declared(names(&ast.File{Decls: []ast.Decl{d}}))
		}
		g.Specs = slices.DeleteFunc(g.Specs, func(s ast.Spec) bool { return declared(specNames(s)) })
		return g.Tok == token.IMPORT || len(g.Specs) == 0
	})
	var declarations strings.Builder
	for _, d := range f.Decls {
		if err := format.Node(&declarations, token.NewFileSet(), d); err != nil {
			t.Fatal(err)
		}
		declarations.WriteString("\n")
	}
	return complete(t, declarations.String())
}
