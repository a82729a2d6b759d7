package sio_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The core knows no web framework, and drags none into a program that does not
// use it.
func TestCoreDependsOnNoFramework(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	framework := regexp.MustCompile(`gin-gonic|labstack|gofiber|valyala|fasthttp|go-chi`)
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Errorf("only %d packages: %q", len(deps), deps)
	}
	for _, pkg := range deps {
		if framework.MatchString(pkg) || strings.HasPrefix(pkg, "github.com/sioplug/sioplug/integrations") {
			t.Errorf("core depends on %s", pkg)
		}
	}
}
