package readme_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Documents name the tests that show what they say.
var (
	namedTest    = regexp.MustCompile("`((?:Test|Example|Fuzz)[A-Z]\\w*)`")
	declaredTest = regexp.MustCompile(`(?m)^func ((?:Test|Example|Fuzz)[A-Z]\w*)\(`)
)

func TestTestsThatDocumentsNameAreThere(t *testing.T) {
	t.Parallel()
	declared := make(map[string]bool)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if matched, err := filepath.Match("*_test.go", d.Name()); !matched {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declaredTest.FindAllSubmatch(text, -1) {
			declared[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, doc := range docs {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range namedTest.FindAllSubmatch(text, -1) {
			named++
			if !declared[string(m[1])] {
				t.Errorf("%s: there is no %s", filepath.Base(doc), m[1])
			}
		}
	}
	if named < 30 {
		t.Errorf("only %d tests are named", named)
	}
}

// TestEveryAttackHasATest looks at the tables of attacks: the last cell of each row
// names the tests, which the test above looks for.
func TestEveryAttackHasATest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, inside := 0, false
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		switch {
		case !strings.HasPrefix(line, "|"):
			inside = false
		case strings.HasPrefix(line, "| asset | attack | what stops it | test |"):
			inside = true
		case inside && !strings.HasPrefix(line, "|---"):
			rows++
			if len(cells) != 4 || !namedTest.MatchString(cells[3]) {
				t.Errorf("no test is named in: %s", line)
			}
		}
	}
	if rows < 25 {
		t.Errorf("only %d attacks", rows)
	}
}
