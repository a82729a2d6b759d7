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

// A mapping is a table that says what lines of one API are in another one. The code
// spans of its columns are lines of Go that compile.
type mapping struct {
	document, head string
	columns        map[int]string // what the lines of a column take for granted
}

func mappings() []mapping {
	return []mapping{
		{"docs/from-javascript.md", "| JavaScript | Go | |", map[int]string{1: surroundings}},
		{"docs/from-googollee.md", "| googollee/go-socket.io | sioplug | |", map[int]string{0: googollee, 1: surroundings}},
		{"docs/from-zishang520.md", "| zishang520/socket.io | sioplug | |", map[int]string{0: zishang520, 1: surroundings}},
	}
}

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
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	sioadmin "github.com/sioplug/sioplug/admin"
	redisadapter "github.com/sioplug/sioplug/adapters/redis"
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
	_ = redisadapter.Classic
	_ = postgresadapter.New
	_ = sioadmin.Instrument
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
	client     *redis.Client
	pool       *pgxpool.Pool
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

// googollee is the same for lines of googollee/go-socket.io.
const googollee = `package lines

import (
	"net/http"
	"time"

	socketio "github.com/googollee/go-socket.io"
	"github.com/googollee/go-socket.io/engineio"
	"github.com/googollee/go-socket.io/engineio/transport"
	"github.com/googollee/go-socket.io/engineio/transport/websocket"
)

var (
	_ = time.Second
	_ = http.Handle
	_ = engineio.NewServer
	_ = websocket.Default
	_ transport.Transport

	server *socketio.Server
	s      socketio.Conn
	user   any
	check  func(*http.Request) (http.Header, error)
)
`

// zishang520 is the same for lines of zishang520/socket.io.
const zishang520 = `package lines

import (
	"net/http"
	"time"

	"github.com/zishang520/socket.io/servers/socket/v3"
	"github.com/zishang520/socket.io/v3/pkg/types"
)

var (
	_ = time.Second
	_ = http.Handle
	_ *types.Cors

	io     *socket.Server
	nsp    socket.Namespace
	client *socket.Socket
	opts   *socket.ServerOptions
	user   any
)
`

// TestLinesOfGoCompile keeps the tables true that say what a line of another API is
// here.
func TestLinesOfGoCompile(t *testing.T) {
	t.Parallel()
	for _, m := range mappings() {
		for column, surroundings := range m.columns {
			t.Run(fmt.Sprintf("%s/%d", m.document, column), func(t *testing.T) {
				t.Parallel()
				text, err := os.ReadFile(filepath.Join("../..", m.document))
				if err != nil {
					t.Fatal(err)
				}
				program, lines := compose(m, column, string(text))
				if lines < 10 {
					t.Fatalf("only %d lines of Go found", lines)
				}
				file := filepath.Join(t.TempDir(), "lines.go")
				if err := os.WriteFile(file, []byte(surroundings+program), 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := exec.CommandContext(t.Context(), "go", "build", "-gcflags=-e", "-o", os.DevNull, file).CombinedOutput()
				if err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// compose returns a function for each code span in a column of a document's tables.
func compose(m mapping, column int, text string) (functions string, lines int) {
	var out strings.Builder
	inside := false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case line == m.head:
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside:
			for _, span := range code.FindAllStringSubmatch(strings.Split(line, " |")[column], -1) {
				lines++
				fmt.Fprintf(&out, "\n//line %s:%d\n%s\n", m.document, i+1, function(span[1]))
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
