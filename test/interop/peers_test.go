package interop_test

import (
	"path/filepath"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/internal/require"
)

// TestJava runs the tests of the official Java client.
func TestJava(t *testing.T) {
	java := require.Tool(t, "java")
	require.Built(t, "java", "java/target/built", "java/pom.xml", "java/src/main/java/interop/*.java")
	classes := filepath.Join("java", "target", "classes") + string(filepath.ListSeparator) +
		filepath.Join("java", "target", "dependency", "*")
	// Interpreted, the tests end before a compiler would pay.
	runPeer(t, java, "-XX:TieredStopAtLevel=1", "-cp", classes, "interop.Main")
}

// TestPython runs the tests of python-socketio.
func TestPython(t *testing.T) {
	require.Tool(t, "python")
	require.Built(t, "python", "python/.venv/built", "python/requirements.txt")
	runPeer(t, filepath.Join("python", ".venv", "bin", "python"), "python/main.py")
}

// runPeer runs a program of tests once per way to connect: behind Gin, and behind
// Fiber, whose HTTP server is another one.
func runPeer(t *testing.T, program string, args ...string) {
	t.Helper()
	for _, m := range mounts() {
		if m.name != "gin" && m.name != "fiber" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			for _, mode := range modes("") {
				t.Run(mode, func(t *testing.T) {
					t.Parallel()
					app := newApp(t, m, sio.Options{})
					name := func(r result) string { return r.Test }
					run(t, mode, app, newNetwork(t, app), name, program, args...)
				})
			}
		})
	}
}
