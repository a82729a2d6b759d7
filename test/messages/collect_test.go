package messages_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A message is a text of the code that somebody outside of it can read.
type message struct {
	text string // with "%" in place of each part that is not constant
	at   string // file and line
}

// roots are the folders of packages that applications use, and of those that these use.
func roots() []string {
	return []string{"adapters", "admin", "client", "core", "integrations", "middleware", "internal"}
}

// apart are folders whose messages are for tests, or for this project alone.
func apart() []string {
	return []string{
		"admin/cmd", "core/siotest", "core/internal", "adapters/internal/captures", "integrations/internal/mounttest", "integrations/internal/connect/connecttest",
		"integrations/internal/reused/reusedtest", "integrations/internal/fasthttpx/fibertest",
		"internal/benchdata", "internal/parsertest", "internal/postgrestest", "internal/redistest", "internal/require", "internal/exampletb",
	}
}

// collect returns the messages of all packages.
func collect(t *testing.T) []message {
	t.Helper()
	var found []message
	skip := make(map[string]bool)
	for _, dir := range apart() {
		skip[filepath.Join("../..", dir)] = true
	}
	for _, root := range roots() {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (skip[path] || d.Name() == "testdata"):
				return filepath.SkipDir
			case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, m := range append(inFile(f), wordsOfTheProtocol(f)...) {
				at := fset.Position(m.pos)
				found = append(found, message{m.text, strings.TrimPrefix(at.String(), "../../")})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// A located text is one at a position.
type located struct {
	text string
	pos  token.Pos
}

// inFile returns the texts of a file that have more than one word.
func inFile(f *ast.File) []located {
	var found []located
	var inspect func(n ast.Node) bool
	inspect = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field: // without its tag
			if n.Type != nil {
				ast.Inspect(n.Type, inspect)
			}
			return false
		case ast.Expr:
			text, isText := constant(n)
			if isText && words.MatchString(text) {
				found = append(found, located{text, n.Pos()})
			}
			return !isText
		}
		return true
	}
	ast.Inspect(f, inspect)
	return found
}

var (
	words = regexp.MustCompile(`[A-Za-z]{2,}.* .*[A-Za-z]{2,}`)
	verb  = regexp.MustCompile(`%[-+#0-9.]*[a-zA-Z]`)
)

// constant returns the text of a string, or of a sum that has one.
func constant(e ast.Expr) (text string, isText bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return verb.ReplaceAllString(text, "%"), err == nil
	case *ast.BinaryExpr:
		left, leftIs := constant(e.X)
		right, rightIs := constant(e.Y)
		if e.Op != token.ADD || !leftIs && !rightIs {
			return "", false
		}
		if !leftIs {
			left = "%"
		}
		if !rightIs {
			right = "%"
		}
		return left + right, true
	}
	return "", false
}

// wordsOfTheProtocol returns the texts of one word that clients see: codes, reasons,
// events, and the names and messages of refusals.
func wordsOfTheProtocol(f *ast.File) (found []located) {
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok {
			if text, isText := constant(lit); isText && text != "" {
				found = append(found, located{text, lit.Pos()})
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			typ, _ := n.Type.(*ast.Ident)
			named := typ != nil && (typ.Name == "code" || typ.Name == "Code" || typ.Name == "Reason")
			for i, v := range n.Values {
				if named || strings.HasPrefix(n.Names[i].Name, "Event") {
					add(v)
				}
			}
		case *ast.CallExpr:
			if fun, ok := n.Fun.(*ast.Ident); ok && fun.Name == "badRequest" {
				add(n.Args[0])
			}
		case *ast.CompositeLit:
			typ, _ := n.Type.(*ast.Ident)
			for _, e := range n.Elts {
				pair, ok := e.(*ast.KeyValueExpr)
				if !ok {
					continue
				}
				key, _ := pair.Key.(*ast.Ident)
				if typ != nil && key != nil && (typ.Name == "refusal" || typ.Name == "wireError") &&
					(key.Name == "message" || key.Name == "Message" || key.Name == "name") {
					add(pair.Value)
				}
			}
		}
		return true
	})
	return found
}
