// Package edges_test lists where code of the application is called, and fails where
// that is not done through the edge, package internal/rescue.
package edges_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sioplug/sioplug/"

// packages are those that call functions and methods of the application's. What they
// hand to internal packages is theirs already, or values that are encoded. The code of
// middleware is called through the edge itself; see [TestGoroutinesOfMiddleware].
var packages = []string{"core", "core/engine", "core/adapter", "client", "client/internal/eio", "internal/encoding"}

// wrappers are functions of these packages that call their last argument through the
// edge.
var wrappers = []string{"callHook", "callLog"}

// harmless are packages whose interfaces and functions are not for applications to
// implement, or not in ways that call back.
var harmless = []string{"context", "reflect", "io"}

// A call is a place where code of the application may be called.
type call struct {
	where string // the function, and what is called there
	edge  bool   // it is called through the edge
}

func TestTheApplicationIsCalledThroughTheEdge(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	used := make(map[string]bool)
	edges := 0
	for _, calls := range find(t) {
		for _, c := range calls {
			switch {
			case c.edge:
				edges++
			case allowed[c.where] == "":
				t.Errorf("%s is called outside of internal/rescue: call it there, or say here why that is not necessary", c.where)
			}
			used[c.where] = used[c.where] || !c.edge
		}
	}
	for where := range allowed {
		if !used[where] {
			t.Errorf("%s is allowed and does not exist", where)
		}
	}
	if edges < 40 {
		t.Errorf("only %d calls through the edge were found", edges)
	}
}

// TestGoroutinesOfMiddleware: what middleware does within handlers is called through
// the edge. What it does on goroutines of its own has to be known here.
func TestGoroutinesOfMiddleware(t *testing.T) {
	started := make(map[string]bool)
	for _, dir := range []string{"middleware", "integrations", "admin"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			if strings.HasSuffix(filepath.Dir(path), "test") {
				return nil // a package of tests
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil || imports(f, "testing") {
				return err
			}
			pkg := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), filepath.Join("..", "..")+string(filepath.Separator)))
			for _, decl := range f.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil && starts(fn) {
					started[pkg+"."+fn.Name.Name] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for where := range started {
		if goroutines[where] == "" {
			t.Errorf("%s starts a goroutine or a timer: say here how it survives the application's code", where)
		}
	}
	for where := range goroutines {
		if !started[where] {
			t.Errorf("%s starts no goroutine", where)
		}
	}
}

// imports reports whether a file imports a package.
func imports(f *ast.File, path string) bool {
	return slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"`+path+`"` })
}

// starts reports whether a function starts goroutines or timers.
func starts(fn *ast.FuncDecl) (does bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			does = true
		case *ast.SelectorExpr:
			does = does || n.Sel.Name == "AfterFunc" || n.Sel.Name == "Go"
		}
		return true
	})
	return does
}

// find returns the calls in all packages.
func find(t *testing.T) [][]call {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export"}
	for _, p := range packages {
		args = append(args, module+p)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	type listed struct {
		ImportPath, Dir, Export string
		GoFiles                 []string
	}
	all := make(map[string]listed)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all[l.ImportPath] = l
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(all[path].Export) })
	var found [][]call
	for _, name := range packages {
		l := all[module+name]
		var files []*ast.File
		for _, f := range l.GoFiles {
			parsed, err := parser.ParseFile(fset, filepath.Join(l.Dir, f), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, parsed)
		}
		s := &scanner{name: name, info: &types.Info{
			Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object), Defs: make(map[*ast.Ident]types.Object),
			Selections: make(map[*ast.SelectorExpr]*types.Selection),
		}}
		if _, err := (&types.Config{Importer: imports}).Check(l.ImportPath, fset, files, s.info); err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
					s.function(fn)
				}
			}
		}
		found = append(found, s.found)
	}
	return found
}

// A scanner looks for calls in one package.
type scanner struct {
	name  string
	info  *types.Info
	in    string // the function
	own   map[types.Object]bool
	found []call
}

func (s *scanner) function(fn *ast.FuncDecl) {
	s.in = s.name + "." + fn.Name.Name
	if fn.Recv != nil {
		s.in = s.name + "." + strings.TrimPrefix(types.ExprString(fn.Recv.List[0].Type), "*") + "." + fn.Name.Name
	}
	s.own = s.closures(fn)
	s.walk(fn.Body, false)
}

// closures returns the local variables that only ever hold functions of ours.
func (s *scanner) closures(fn *ast.FuncDecl) map[types.Object]bool {
	own := make(map[types.Object]bool)
	ast.Inspect(fn, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok || len(a.Lhs) != len(a.Rhs) {
			return true
		}
		for i, l := range a.Lhs {
			id, ok := l.(*ast.Ident)
			if !ok {
				continue
			}
			obj := s.info.Defs[id]
			if obj == nil {
				obj = s.info.Uses[id]
			}
			if _, seen := own[obj]; !seen {
				own[obj] = true
			}
			own[obj] = own[obj] && s.ours(a.Rhs[i])
		}
		return true
	})
	return own
}

// ours reports whether an expression is a function that this module declares.
func (s *scanner) ours(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.FuncLit:
		return true
	case *ast.Ident:
		_, is := s.info.Uses[e].(*types.Func)
		return is
	case *ast.SelectorExpr:
		if sel := s.info.Selections[e]; sel != nil {
			return sel.Kind() == types.MethodVal && !types.IsInterface(sel.Recv())
		}
		_, is := s.info.Uses[e.Sel].(*types.Func)
		return is
	case *ast.CallExpr: // such as sync.OnceFunc and slog's methods: what was given to them is judged there
		return true
	}
	return false
}

// walk looks for calls in n. edge tells whether n is what the edge calls.
func (s *scanner) walk(n ast.Node, edge bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		through := s.isEdge(c.Fun)
		if what := s.foreign(c); what != "" {
			s.found = append(s.found, call{s.in + ": " + what, edge})
		}
		s.walk(c.Fun, edge)
		for i, arg := range c.Args {
			// Of Do and Each, the first function is the application's, the other one ours.
			called := through && (i == 0 || i == 1 && !isName(c.Fun, "Do"))
			if called && s.foreignValue(arg) {
				s.found = append(s.found, call{s.in + ": " + types.ExprString(arg), true})
			}
			s.walk(arg, edge && !through || called)
		}
		return false
	})
}

func isName(fun ast.Expr, name string) bool {
	sel, ok := fun.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == name
}

// isEdge reports whether fun is a function of package rescue.
func (s *scanner) isEdge(fun ast.Expr) bool {
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	f, ok := s.info.Uses[sel.Sel].(*types.Func)
	return ok && f.Pkg() != nil &&
		(strings.HasSuffix(f.Pkg().Path(), "/internal/rescue") || slices.Contains(wrappers, f.Name()))
}

// encoders call methods of the values that they are given, if these have some.
var encoders = []string{"json.Marshal", "json.Unmarshal", "errors.As", "errors.AsType", "errors.Is"}

// unknown reports whether values of an expression may have types of the application's.
func (s *scanner) unknown(e ast.Expr) bool {
	if ref, ok := e.(*ast.UnaryExpr); ok {
		e = ref.X
	}
	t := s.info.TypeOf(e)
	if _, param := types.Unalias(t).(*types.TypeParam); param {
		return true
	}
	return types.IsInterface(t)
}

// foreign returns what is called if that may be the application's.
func (s *scanner) foreign(c *ast.CallExpr) string {
	fun := ast.Unparen(c.Fun)
	if x, ok := fun.(*ast.IndexExpr); ok && s.info.Types[x.X].IsValue() && isFunc(s.info.TypeOf(x.X)) {
		fun = x.X // an instance of a generic function
	}
	if text := types.ExprString(fun); slices.Contains(encoders, text) {
		value := c.Args[0]
		if text == "json.Unmarshal" {
			value = c.Args[1]
		}
		if !s.unknown(value) {
			return ""
		}
		return text
	}
	if _, generic := s.info.Types[c.Fun].Type.(*types.Signature); !generic && fun != c.Fun {
		return ""
	}
	if s.foreignValue(fun) {
		return types.ExprString(fun)
	}
	return ""
}

// foreignValue reports whether e is a function value that this package has not made,
// or a method of an interface.
func (s *scanner) foreignValue(e ast.Expr) bool {
	tv := s.info.Types[e]
	if tv.IsType() || tv.IsBuiltin() || !isFunc(tv.Type) || s.ours(e) {
		return false
	}
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident: // an iterator's function is called where the loop is
		return !s.own[s.info.Uses[e]] && e.Name != "yield" && !internal(tv.Type)
	case *ast.SelectorExpr:
		sel := s.info.Selections[e]
		return !internal(tv.Type) && (sel == nil || sel.Kind() == types.FieldVal || !internal(sel.Recv()))
	}
	return true
}

// internal reports whether a type has no values of the application's.
func internal(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok {
		return false
	}
	obj := named.Obj()
	if obj.Pkg() == nil { // error
		return false
	}
	return slices.Contains(harmless, obj.Pkg().Path()) || strings.HasPrefix(obj.Pkg().Path(), module) && !obj.Exported()
}

func isFunc(t types.Type) bool {
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Signature)
	return ok
}
