// Package require decides what a test does when a tool it needs is missing.
//
// On a laptop such a test skips and says what to install. Where the environment
// variable SIOPLUG_REQUIRE names the tool, or says "all", the test fails instead,
// so that a machine meant to run everything cannot pass by running less:
//
//	SIOPLUG_REQUIRE=node,chromium go test ./test/...
package require

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// EnvVar names the environment variable with the comma-separated list of tools
// whose absence is a failure.
const EnvVar = "SIOPLUG_REQUIRE"

// Tool returns the path of the named tool: "node", "chromium", "redis", "postgres", "nginx",
// "haproxy", "prometheus", "promtool", "java" or "python". If the tool is not installed the test ends there, skipped or failed.
func Tool(tb testing.TB, name string) string {
	tb.Helper()
	programs, hint := tool(name)
	if len(programs) == 0 {
		tb.Fatalf("require.Tool: unknown tool %q; add it to tool in package require", name)
	}
	for _, p := range programs {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	missing(tb, name, hint)
	return ""
}

// NodePackages makes sure that the npm packages of dir are installed as its
// package-lock.json says. If they are not, the test ends there, skipped or failed
// as for the tool "node".
func NodePackages(tb testing.TB, dir string) {
	tb.Helper()
	want, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		tb.Fatalf("require.NodePackages: %v", err)
	}
	// npm writes this file last, so it stands for a complete installation.
	got, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if err != nil || got.ModTime().Before(want.ModTime()) {
		missing(tb, "node", "the npm packages of "+dir+" are absent or out of date: run 'make test', or 'npm ci' in that folder")
	}
}

// Built makes sure that the file stamp was written after each of the sources, which
// are patterns of paths: "make test" writes it last. If not, the test ends there,
// skipped or failed as for the tool of that name.
func Built(tb testing.TB, name, stamp string, sources ...string) {
	tb.Helper()
	if !newer(tb, stamp, sources) {
		missing(tb, name, stamp+" is absent or out of date: run 'make test', or 'make "+name+"'")
	}
}

// newer reports whether a file is there and not older than any of the sources.
func newer(tb testing.TB, file string, sources []string) bool {
	tb.Helper()
	got, missing := os.Stat(file)
	for _, pattern := range sources {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			tb.Fatalf("require.Built: no file matches %s (%v)", pattern, err)
		}
		for _, path := range paths {
			source, err := os.Stat(path)
			if err != nil {
				tb.Fatalf("require.Built: %v", err)
			}
			if missing != nil || got.ModTime().Before(source.ModTime()) {
				return false
			}
		}
	}
	return true
}

// tool returns the names the tool's program goes by, in order of preference, and
// what to tell somebody who has none of them. Unknown tools have no programs.
func tool(name string) (programs []string, hint string) {
	switch name {
	case "node":
		return []string{"node"},
			"install Node.js 20 or newer"
	case "chromium":
		return []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"},
			"install Chromium (Debian: apt-get install chromium) or Google Chrome"
	case "nginx":
		return []string{"nginx", "/usr/sbin/nginx"},
			"install nginx (Debian: apt-get install nginx-light)"
	case "haproxy":
		return []string{"haproxy", "/usr/sbin/haproxy"},
			"install HAProxy (Debian: apt-get install haproxy)"
	case "redis":
		return []string{"redis-server"},
			"install Redis (Debian: apt-get install redis-server)"
	case "postgres":
		// Debian has a folder for each version, which is in nobody's PATH.
		installed, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
		if err != nil {
			installed = nil
		}
		return append([]string{"postgres"}, installed...),
			"install PostgreSQL (Debian: apt-get install postgresql)"
	case "prometheus":
		return []string{"prometheus"},
			"install Prometheus (Debian: apt-get install prometheus)"
	case "promtool":
		return []string{"promtool"},
			"install Prometheus (Debian: apt-get install prometheus)"
	case "java":
		return []string{"java"},
			"install a JDK from 11 on, and Maven (Debian: apt-get install default-jdk-headless maven)"
	case "python":
		return []string{"python3"},
			"install Python 3.11 or newer, with venv (Debian: apt-get install python3-venv)"
	default:
		return nil, ""
	}
}

func missing(tb testing.TB, name, hint string) {
	tb.Helper()
	if required(os.Getenv(EnvVar), name) {
		tb.Fatalf("%s is required by %s and missing: %s", name, EnvVar, hint)
	}
	tb.Skipf("%s is missing: %s", name, hint)
}

func required(list, name string) bool {
	return slices.ContainsFunc(strings.Split(list, ","), func(s string) bool {
		s = strings.TrimSpace(s)
		return s == name || s == "all"
	})
}
