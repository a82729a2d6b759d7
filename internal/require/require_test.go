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
	installations(t, func(f *fakeTB, dir, _ string) { require.NodePackages(f, dir) },
		filepath.Join("node_modules", ".package-lock.json"), "package-lock.json")
}

func TestBuilt(t *testing.T) {
	installations(t, func(f *fakeTB, dir, stamp string) {
		require.Built(f, "java", stamp, filepath.Join(dir, "pom.xml"), filepath.Join(dir, "*.java"))
	}, "built", "pom.xml", "Main.java")
}

// installations checks that a test skips unless the file stamp is newer than the sources.
// All are in a folder, which ask gets together with the path of stamp.
func installations(t *testing.T, ask func(f *fakeTB, dir, stamp string), stamp string, sources ...string) {
	t.Helper()
	now := time.Now()
	for _, tt := range []struct {
		name string
		at   time.Time // zero: not at all
		skip bool
	}{
		{"absent", time.Time{}, true},
		{"out of date", now.Add(-time.Hour), true},
		{"up to date", now.Add(time.Hour), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(require.EnvVar, "")
			dir := t.TempDir()
			for _, name := range sources {
				mustWrite(t, filepath.Join(dir, name), 0o600)
			}
			path := filepath.Join(dir, stamp)
			if !tt.at.IsZero() {
				mustWrite(t, path, 0o600)
				if err := os.Chtimes(path, tt.at, tt.at); err != nil {
					t.Fatal(err)
				}
			}

			f := watch(func(f *fakeTB) { ask(f, dir, path) })
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
