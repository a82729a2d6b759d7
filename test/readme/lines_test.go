package readme_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mapping is the head of tables whose second column has Go in its code spans.
const mapping = "| JavaScript | Go | |"

// code matches a code span.
var code = regexp.MustCompile("`([^`]+)`")

// surroundings are what the lines of Go take for granted.
const surroundings = `package lines

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/parser/msgpack"
	"github.com/sioplug/sioplug/core/siotest"
	siogin "github.com/sioplug/sioplug/integrations/gin"
)

type (
	Post struct{ Text string }
	User struct{ Name string }
)

var (
	_ = fmt.Println
	_ = errors.Join
	_ = os.DirFS
	_ = regexp.MustCompile
	_ = adapter.NewMemory
	_ = msgpack.Parser{}
	_ = siotest.Connect
	_ = siogin.Mount
	_ = time.Second

	srv        *sio.Server
	ns         *sio.Namespace
	c          *sio.Ctx
	s          *sio.Socket
	h, next    sio.Handler
	mw         sio.Middleware
	args       sio.Args
	remote     sio.RemoteSocket
	exchange   engine.Exchange
	ctx        context.Context
	mux        *http.ServeMux
	httpServer *http.Server
	r          *gin.Engine
	t          *testing.T
	nameKey    = sio.NewDataKey[string]("name")
	userKey    = sio.NewKey[User]("user")
	user       User
	auth       struct{ Token string }
	data       any
	a, b, id   string
	check      func(http.Header, *sio.Request) error
	newID      func() string
)
`

// TestLinesOfGoCompile keeps the tables true that say what a line of JavaScript
// is in Go.
func TestLinesOfGoCompile(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"docs/from-javascript.md"} {
		t.Run(document, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("../..", document))
			if err != nil {
				t.Fatal(err)
			}
			program, lines := compose(document, string(text))
			if lines < 10 {
				t.Fatalf("only %d lines of Go found", lines)
			}
			file := filepath.Join(t.TempDir(), "lines.go")
			if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), "go", "build", "-gcflags=-e", "-o", os.DevNull, file).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// compose returns a file with a function for each code span in the Go columns of
// a document's tables.
func compose(document, text string) (program string, lines int) {
	var out strings.Builder
	out.WriteString(surroundings)
	inside := false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case line == mapping:
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside:
			for _, span := range code.FindAllStringSubmatch(strings.Split(line, " |")[1], -1) {
				lines++
				fmt.Fprintf(&out, "\n//line %s:%d\n%s\n", document, i+1, function(span[1]))
			}
		}
	}
	return out.String(), lines
}

// function returns a function with a line of Go in it, or the line itself if it
// is one already.
func function(line string) string {
	switch expr, err := parser.ParseExpr(line); {
	case strings.HasPrefix(line, "func "):
		return line
	case err == nil && !isStatement(expr):
		line = "_ = " + line
	}
	if strings.HasPrefix(line, "return ") {
		return "func _() error { " + line + " }"
	}
	return "func _() { " + line + used(line) + " }"
}

func isStatement(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CallExpr:
		return true
	case *ast.UnaryExpr:
		return e.Op == token.ARROW
	default:
		return false
	}
}

// used returns statements that use the variables which a line declares.
func used(line string) string {
	f, err := parser.ParseFile(token.NewFileSet(), "", "package p; func _() { "+line+" }", 0)
	if err != nil {
		return "" // the compiler will tell
	}
	var uses strings.Builder
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit, *ast.RangeStmt, *ast.IfStmt:
			return false // what these declare they use
		case *ast.AssignStmt:
			for _, name := range n.Lhs {
				if id, ok := name.(*ast.Ident); ok && n.Tok == token.DEFINE && id.Name != "_" {
					uses.WriteString("; _ = " + id.Name)
				}
			}
		case *ast.ValueSpec:
			uses.WriteString("; _ = " + n.Names[0].Name)
		}
		return true
	})
	return uses.String()
}
