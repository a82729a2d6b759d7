// Package integrations_test is about all integrations.
package integrations_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// frameworks are what each folder here is for.
var frameworks = map[string][]string{
	"gin":     {"github.com/gin-gonic/gin"},
	"echo":    {"github.com/labstack/echo/v4"},
	"echov5":  {"github.com/labstack/echo/v5"},
	"fiber":   {"github.com/gofiber/fiber/v2", "github.com/valyala/fasthttp"},
	"fiberv3": {"github.com/gofiber/fiber/v3", "github.com/valyala/fasthttp"},
}

// A program that imports the core and one integration links that one's framework
// and no other.
func TestDependencies(t *testing.T) {
	var all []string
	for _, modules := range frameworks {
		all = append(all, modules...)
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || e.Name() == "internal" {
			continue
		}
		t.Run(e.Name(), func(t *testing.T) {
			own, ok := frameworks[e.Name()]
			if !ok {
				t.Fatal("this test does not know its framework")
			}
			linked := modules(t, e.Name())
			for _, m := range all {
				if got, want := slices.Contains(linked, m), slices.Contains(own, m); got != want {
					t.Errorf("%s is linked: %v, want %v", m, got, want)
				}
			}
		})
	}
}

// modules returns those that a program would link with the core and the package in a
// folder, which may be a module of its own.
func modules(t *testing.T, folder string) (paths []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-C", folder, "-deps", "-json=Module",
		".", "github.com/sioplug/sioplug/core").Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("go list: %s", failed.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ Module struct{ Path string } }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return paths
		} else if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p.Module.Path)
	}
}
