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

// mustBeFound runs, for each mistake, the test that has to find it, in a process of
// its own.
func mustBeFound(t *testing.T, mistakes map[string]string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for m, test := range mistakes {
		t.Run(m, func(t *testing.T) {
			t.Parallel()
			pattern := "^" + strings.ReplaceAll(test, "/", "$/^") + "$"
			cmd := exec.CommandContext(t.Context(), program, "-test.run", pattern)
			cmd.Env = append(os.Environ(), mistakeVar+"="+m)
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL") {
				t.Errorf("the mistake is not found: %v\n%s", err, out)
			}
		})
	}
}
