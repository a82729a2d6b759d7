package siotest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A suite that finds nothing wrong is worth nothing: some tests make a mistake if
// this variable of the environment names one, and have to fail then.
const mistakeVar = "SIOTEST_MISTAKE"

// mistake returns the mistake that a test is to make, if any.
func mistake() string { return os.Getenv(mistakeVar) }

// mustBeFound runs a test in a process of its own for each mistake.
func mustBeFound(t *testing.T, test string, mistakes ...string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mistakes {
		t.Run(m, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), program, "-test.run", "^"+test+"$")
			cmd.Env = append(os.Environ(), mistakeVar+"="+m)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL") {
				t.Errorf("the mistake is not found: %v\n%s", err, out)
			}
		})
	}
}
