package sio

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/sioplug/sioplug/core/engine"
)

// TestOptionsReachTheEngine: the options of the engine are written down twice. Each of
// them has to be an option of this package as well, and has to be passed on.
func TestOptionsReachTheEngine(t *testing.T) {
	t.Parallel()
	var opts Options
	all := reflect.ValueOf(&opts).Elem()
	for i := range all.NumField() {
		fill(all.Field(i), int64(i+1))
	}
	passed := reflect.ValueOf(opts.engine())
	empty := reflect.ValueOf(new(Options).engine())
	for field, got := range passed.Fields() {
		want := all.FieldByName(field.Name)
		switch {
		case field.Name == "Observer": // Server.observer makes it of Options.Observers
			continue
		case !want.IsValid():
			t.Errorf("engine.Options has the field %s, and Options has none of that name", field.Name)
		case got.IsZero():
			t.Errorf("Options.%s does not reach the engine", field.Name)
		case got.Kind() == reflect.Func || got.Kind() == reflect.Slice: // which cannot be compared
		case !got.Equal(want):
			t.Errorf("the engine gets %v from Options.%s, want %v", got, field.Name, want)
		}
		if !empty.FieldByName(field.Name).IsZero() {
			t.Errorf("the engine gets a value for Options.%s, which is not set", field.Name)
		}
	}
}

// fill sets a field to a value that is not zero.
func fill(v reflect.Value, n int64) {
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		v.SetInt(n)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Func:
		v.Set(reflect.MakeFunc(v.Type(), func([]reflect.Value) []reflect.Value { return nil }))
	case reflect.Interface:
		switch router := reflect.ValueOf(struct{ engine.SessionRouter }{}); {
		case v.NumMethod() == 0:
			v.Set(reflect.ValueOf("value"))
		case router.Type().AssignableTo(v.Type()):
			v.Set(router)
		}
	default:
	}
}

// TestDefaultsOfBothPackagesAreEqual compares the constants for defaults that both
// packages have.
func TestDefaultsOfBothPackagesAreEqual(t *testing.T) {
	t.Parallel()
	here, there := defaults(t, "options.go"), defaults(t, filepath.Join("engine", "options.go"))
	both := 0
	for name, value := range here {
		if other, ok := there[name]; ok {
			both++
			if value != other {
				t.Errorf("%s is %s here, and %s in the engine", name, value, other)
			}
		}
	}
	if both == 0 {
		t.Error("no constant is in both packages")
	}
}

// defaults returns the constants of a file, by name.
func defaults(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, decl := range f.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.CONST {
			continue
		}
		for _, s := range d.Specs {
			if v, ok := s.(*ast.ValueSpec); ok && len(v.Values) == len(v.Names) {
				for i, name := range v.Names {
					found[name.Name] = types.ExprString(v.Values[i])
				}
			}
		}
	}
	return found
}
