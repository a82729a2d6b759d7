package ratelimit_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// deps returns what a program links that imports the package.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg).CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	return strings.Fields(string(out))
}

// Limits in memory bring nothing along: no Redis client, no framework, and of
// sioplug only the core.
func TestDependsOnTheCoreAlone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the go command")
	}
	core := make(map[string]bool)
	for _, pkg := range deps(t, "github.com/sioplug/sioplug/core") {
		core[pkg] = true
	}
	module := regexp.MustCompile(`^[^/]+\.[^/]+/`) // other than the standard library
	for _, pkg := range deps(t, ".") {
		if module.MatchString(pkg) && !core[pkg] && pkg != "github.com/sioplug/sioplug/middleware/ratelimit" {
			t.Errorf("ratelimit depends on %s", pkg)
		}
	}
	if redis := strings.Join(deps(t, "./redislimit"), " "); !strings.Contains(redis, "github.com/redis/go-redis") {
		t.Error("redislimit does not depend on the Redis client, so this test shows nothing")
	}
}
