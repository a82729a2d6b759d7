// Package readme_test keeps the code in README.md compiling.
package readme_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// program matches a complete Go program in a Markdown file.
var program = regexp.MustCompile("(?s)```go\n(package main\n.*?)```")

func TestProgramsInREADMECompile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := program.FindAllSubmatch(text, -1)
	if len(programs) == 0 {
		t.Fatal("README.md has no program")
	}
	for _, p := range programs {
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, p[1], 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s\n%s", err, out, p[1])
		}
	}
}
