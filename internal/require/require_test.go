package require_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/require"
)

// A fakeTB notes how a test ended instead of ending it.
type fakeTB struct {
	testing.TB

	failed, skipped string
}

func (f *fakeTB) Helper() {}

func (f *fakeTB) Fatalf(format string, args ...any) {
	f.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (f *fakeTB) Skipf(format string, args ...any) {
	f.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// watch runs check on a goroutine of its own, which check may end.
func watch(check func(f *fakeTB)) *fakeTB {
	f := &fakeTB{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(f)
	}()
	<-done
	return f
}

func TestMissingToolSkipsUnlessRequired(t *testing.T) {
	tests := []struct {
		list string
		fail bool
	}{
		{"", false},
		{"chromium", false},
		{"nodejs", false},
		{"node", true},
		{"chromium,node", true},
		{"chromium, node", true},
		{"all", true},
	}
	for _, tt := range tests {
		t.Run("list="+tt.list, func(t *testing.T) {
			t.Setenv(require.EnvVar, tt.list)
			t.Setenv("PATH", t.TempDir())
			f := watch(func(f *fakeTB) { require.Tool(f, "node") })
			end := f.skipped
			if tt.fail {
				end = f.failed
			}
			if !strings.Contains(end, "install Node.js") {
				t.Errorf("skipped %q, failed %q; want fail = %v with a hint", f.skipped, f.failed, tt.fail)
			}
		})
	}
}

func TestToolFindsAnyOfItsPrograms(t *testing.T) {
	dir := t.TempDir()
	want := filepath.Join(dir, "google-chrome")
	mustWrite(t, want, 0o700)
	t.Setenv("PATH", dir)

	var got string
	f := watch(func(f *fakeTB) { got = require.Tool(f, "chromium") })
	if got != want {
		t.Errorf("Tool = %q (skipped %q, failed %q), want %q", got, f.skipped, f.failed, want)
	}
}

func TestUnknownToolFails(t *testing.T) {
	t.Setenv(require.EnvVar, "")
	f := watch(func(f *fakeTB) { require.Tool(f, "abacus") })
	if !strings.Contains(f.failed, "abacus") {
		t.Errorf("failed = %q, want it to name the tool", f.failed)
	}
}

func TestNodePackages(t *testing.T) {
	now := time.Now()
	tests := []struct {
		name      string
		installed time.Time // zero: not at all
		skip      bool
	}{
		{"absent", time.Time{}, true},
		{"out of date", now.Add(-time.Hour), true},
		{"up to date", now.Add(time.Hour), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(require.EnvVar, "")
			dir := t.TempDir()
			mustWrite(t, filepath.Join(dir, "package-lock.json"), 0o600)
			if !tt.installed.IsZero() {
				stamp := filepath.Join(dir, "node_modules", ".package-lock.json")
				mustWrite(t, stamp, 0o600)
				if err := os.Chtimes(stamp, tt.installed, tt.installed); err != nil {
					t.Fatal(err)
				}
			}

			f := watch(func(f *fakeTB) { require.NodePackages(f, dir) })
			if skipped := f.skipped != ""; skipped != tt.skip || f.failed != "" {
				t.Errorf("skipped %q, failed %q; want skip = %v", f.skipped, f.failed, tt.skip)
			}
		})
	}
}

func TestBuilt(t *testing.T) {
	now := time.Now()
	tests := []struct {
		name  string
		built time.Time // zero: not at all
		skip  bool
	}{
		{"absent", time.Time{}, true},
		{"out of date", now.Add(-time.Hour), true},
		{"up to date", now.Add(time.Hour), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(require.EnvVar, "")
			dir := t.TempDir()
			mustWrite(t, filepath.Join(dir, "pom.xml"), 0o600)
			mustWrite(t, filepath.Join(dir, "Main.java"), 0o600)
			stamp := filepath.Join(dir, "built")
			if !tt.built.IsZero() {
				mustWrite(t, stamp, 0o600)
				if err := os.Chtimes(stamp, tt.built, tt.built); err != nil {
					t.Fatal(err)
				}
			}

			f := watch(func(f *fakeTB) {
				require.Built(f, "java", stamp, filepath.Join(dir, "pom.xml"), filepath.Join(dir, "*.java"))
			})
			if skipped := f.skipped != ""; skipped != tt.skip || f.failed != "" {
				t.Errorf("skipped %q, failed %q; want skip = %v", f.skipped, f.failed, tt.skip)
			}
		})
	}
}

func TestBuiltOfNothingFails(t *testing.T) {
	f := watch(func(f *fakeTB) { require.Built(f, "java", "built", filepath.Join(t.TempDir(), "*.java")) })
	if !strings.Contains(f.failed, "no file matches") {
		t.Errorf("failed = %q, want it to say that the pattern matches nothing", f.failed)
	}
}

func mustWrite(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), mode); err != nil {
		t.Fatal(err)
	}
}
