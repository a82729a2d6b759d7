package readme_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// A requirement of a go.mod, with the word require before it or in a block.
	requiredModule = regexp.MustCompile(`(?m)^(?:require |\t)([\w.-]+\.[a-z]+/\S+) v\S+$`)
	// The last element of a path that may stand for a sibling: `a/b/v4`, `v5`.
	majorVersion = regexp.MustCompile(`^v\d+$`)
)

// TestDependenciesHaveAReason compares the table of dependencies with all go.mod files.
// Indirect requirements and modules of this repository need no reason.
func TestDependenciesHaveAReason(t *testing.T) {
	t.Parallel()
	required := requiredModules(t, "../..")
	if len(required) < 20 {
		t.Errorf("only the modules %q are required", slices.Sorted(maps.Keys(required)))
	}
	documented := documentedModules(t, readFile(t, "../../docs/architecture.md"))
	for _, module := range slices.Sorted(maps.Keys(required)) {
		if !documented[module] {
			t.Errorf("%s requires %s: add why to the table of dependencies", required[module], module)
		}
	}
	for _, module := range slices.Sorted(maps.Keys(documented)) {
		if required[module] == "" {
			t.Errorf("no go.mod requires %s: remove it from the table of dependencies", module)
		}
	}
}

// requiredModules returns the direct requirements of all modules below a folder, and a
// go.mod that has each.
func requiredModules(t *testing.T, root string) (required map[string]string) {
	t.Helper()
	required = make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == ".git"):
			return filepath.SkipDir
		case d.Name() != "go.mod":
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range requiredModule.FindAllStringSubmatch(string(text), -1) {
			if !strings.HasPrefix(m[1], "github.com/sioplug/") {
				required[m[1]] = path
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return required
}

// documentedModules returns the modules in the first column of the table of dependencies.
// A row may name several, and only the major version of one that is the same otherwise.
func documentedModules(t *testing.T, markdown string) (documented map[string]bool) {
	t.Helper()
	documented = make(map[string]bool)
	_, section, found := strings.Cut(markdown, "\n## Dependencies\n")
	if !found {
		t.Fatal("docs/architecture.md has no section Dependencies")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			continue
		}
		if strings.TrimSpace(cells[2]) == "" {
			t.Errorf("no reason: %s", line)
		}
		before := ""
		for i, name := range strings.Split(cells[1], "`") {
			if i%2 == 0 { // outside of a code span
				continue
			}
			if majorVersion.MatchString(name) {
				name = before[:strings.LastIndex(before, "/")+1] + name
			}
			before = name
			documented[name] = true
		}
	}
	return documented
}
