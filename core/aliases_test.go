package sio_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

// go doc shows no fields of an alias, so the comments of aliases list them.
func TestCommentsOfAliasesListTheFields(t *testing.T) {
	aliases := map[string]reflect.Type{
		"Request": reflect.TypeFor[sio.Request](), "CORS": reflect.TypeFor[sio.CORS](), "Cookie": reflect.TypeFor[sio.Cookie](),
		"HTTPError": reflect.TypeFor[sio.HTTPError](), "ConnectionError": reflect.TypeFor[sio.ConnectionError](),
		"PerMessageDeflate": reflect.TypeFor[sio.PerMessageDeflate](),
	}
	field := regexp.MustCompile(`(?m)^\t([A-Z]\w*) +(\S+)`)
	for _, name := range []string{"request.go", "deflate.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			types, ok := decl.(*ast.GenDecl)
			if !ok || types.Tok != token.TYPE {
				continue
			}
			for _, s := range types.Specs {
				spec, ok := s.(*ast.TypeSpec)
				if !ok || !spec.Assign.IsValid() {
					continue
				}
				doc := spec.Doc
				if doc == nil {
					doc = types.Doc
				}
				var listed, want []string
				for _, m := range field.FindAllStringSubmatch(doc.Text(), -1) {
					listed = append(listed, m[1])
				}
				alias := aliases[spec.Name.Name]
				if alias == nil {
					t.Errorf("%s: add it to this test", spec.Name)
					continue
				}
				for f := range alias.Fields() {
					want = append(want, f.Name)
				}
				if !slices.Equal(listed, want) {
					t.Errorf("%s lists %q, has %q", spec.Name, listed, want)
				}
				delete(aliases, spec.Name.Name)
			}
		}
	}
	for name := range aliases {
		t.Errorf("%s is no alias any more", name)
	}
}
