package readme_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestExportedNamesAreDocumented looks at all packages that programs can import.
func TestExportedNamesAreDocumented(t *testing.T) {
	t.Parallel()
	folders := 0
	for _, root := range []string{"core", "integrations", "middleware"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case !d.IsDir():
				return nil
			case d.Name() == "internal" || d.Name() == "testdata":
				return filepath.SkipDir
			}
			folders++
			return undocumented(path, func(what string) { t.Errorf("%s: %s has no comment", path, what) })
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if folders < 10 {
		t.Errorf("only %d folders", folders)
	}
}

// undocumented reports every exported name of the package in a folder that has no
// comment.
func undocumented(folder string, report func(what string)) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return err
	}
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		parsed = append(parsed, f)
	}
	if len(parsed) == 0 {
		return nil
	}
	p, err := doc.NewFromFiles(fset, parsed, folder)
	if err != nil {
		return err
	}
	if p.Doc == "" {
		report("package " + p.Name)
	}
	for _, v := range append(p.Consts, p.Vars...) {
		values(v, report)
	}
	functions(p.Funcs, report)
	for _, typ := range p.Types {
		if typ.Doc == "" {
			report(typ.Name)
		}
		for _, v := range append(typ.Consts, typ.Vars...) {
			values(v, report)
		}
		functions(typ.Funcs, report)
		functions(typ.Methods, report)
	}
	return nil
}

func functions(list []*doc.Func, report func(what string)) {
	for _, f := range list {
		if f.Doc == "" {
			report(f.Recv + " " + f.Name)
		}
	}
}

// values asks for a comment of the whole group.
func values(v *doc.Value, report func(what string)) {
	if v.Doc == "" {
		report(v.Names[0])
	}
}
