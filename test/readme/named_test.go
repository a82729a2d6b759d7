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

// promise matches an item of a list that begins with a sentence in bold, and all of it.
var promise = regexp.MustCompile(`(?m)^- \*\*(.+)\n(?:  .*\n)*`)

func TestEachPromiseNamesItsTests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/delivery.md")
	if err != nil {
		t.Fatal(err)
	}
	promises := promise.FindAllString(string(text), -1)
	for _, p := range promises {
		if !namedTest.MatchString(p) {
			t.Errorf("no test shows this:\n%s", p)
		}
	}
	if len(promises) < 20 {
		t.Errorf("there are only %d promises", len(promises))
	}
}

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
	for _, doc := range append(docs, attacksAndTests) {
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

// attacksAndTests is the document that names the tests of the attacks.
const attacksAndTests = "testdata/attacks.md"

// TestEveryAttackHasATest compares the attacks in docs/security.md with those that tests
// are named for. The test above looks for these tests.
func TestEveryAttackHasATest(t *testing.T) {
	t.Parallel()
	tested := make(map[string]bool)
	for _, cells := range rowsBelow(t, attacksAndTests, "| attack | tests |") {
		if len(cells) != 2 || !namedTest.MatchString(cells[1]) {
			t.Errorf("no test is named in: %s", cells)
			continue
		}
		tested[cells[0]] = true
	}
	attacks := rowsBelow(t, "../../docs/security.md", "| asset | attack | protection |")
	for _, cells := range attacks {
		if len(cells) != 3 || !tested[cells[1]] {
			t.Errorf("%s has no tests of: %s", attacksAndTests, cells)
			continue
		}
		delete(tested, cells[1])
	}
	for attack := range tested {
		t.Errorf("docs/security.md does not have the attack: %s", attack)
	}
	if len(attacks) < 25 {
		t.Errorf("only %d attacks", len(attacks))
	}
}

// rowsBelow returns the rows of a document's tables with this head.
func rowsBelow(t *testing.T, document, head string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); {
		case !strings.HasPrefix(line, "|"):
			inside = false
		case line == head:
			inside = true
		case inside && !strings.HasPrefix(line, "|---"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	return rows
}
