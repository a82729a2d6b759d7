package readme_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/test/readme/docscheck"
)

// longest is how many words a sentence may have.
const longest = 30

// TestDocuments checks all documents: links, names of files, the length of sentences, and
// private words. testdata/exceptions.txt has the exceptions.
func TestDocuments(t *testing.T) {
	t.Parallel()
	repository := readRepository(t, "../..")
	except := readExceptions(t, "testdata/exceptions.txt")
	private := docscheck.Glossary(readFile(t, "../../docs/architecture.md"))
	if len(private) < 5 {
		t.Errorf("the glossary of docs/architecture.md has only the words %q", private)
	}
	for _, file := range slices.Sorted(maps.Keys(repository.Documents)) {
		d := repository.Documents[file]
		for _, p := range repository.Links(d) {
			t.Error(p)
		}
		if file != "CHANGELOG.md" { // it tells of files that were there
			for _, p := range repository.Paths(d) {
				t.Error(p)
			}
			for _, s := range d.LongSentences(longest) {
				if !except.long(file, s.Text) {
					t.Error(s)
				}
			}
		}
		if folder := filepath.Dir(file); file != "README.md" && folder != "docs" || file == "docs/architecture.md" {
			continue
		}
		used := d.UndefinedWords(private)
		for _, word := range slices.Sorted(maps.Keys(used)) {
			if !except.word(file, word) {
				t.Error(used[word])
			}
		}
	}
	for _, e := range except {
		if !e.used {
			t.Errorf("testdata/exceptions.txt:%d: nothing needs this exception any more: remove it", e.line)
		}
	}
}

// readRepository reads all documents below a folder, and lists all files.
func readRepository(t *testing.T, root string) *docscheck.Repository {
	t.Helper()
	r := &docscheck.Repository{Files: make(map[string]bool), Documents: make(map[string]*docscheck.Document)}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch d.Name() {
		case ".git", ".bin", ".venv", "node_modules", "target":
			if d.IsDir() {
				return filepath.SkipDir
			}
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		r.Files[name] = true
		if filepath.Ext(name) == ".md" && !strings.Contains(name, "testdata/") {
			r.Documents[name] = docscheck.Parse(name, readFile(t, path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// An exception is a line of testdata/exceptions.txt.
type exception struct {
	line             int
	kind, file, rest string
	used             bool
}

type exceptions []*exception

func readExceptions(t *testing.T, name string) (all exceptions) {
	t.Helper()
	for i, line := range strings.Split(readFile(t, name), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.SplitN(line, " ", 3)
		if len(fields) != 3 || fields[0] != "long" && fields[0] != "word" {
			t.Fatalf("%s:%d: %q is no exception", name, i+1, line)
		}
		all = append(all, &exception{line: i + 1, kind: fields[0], file: fields[1], rest: fields[2]})
	}
	return all
}

// long reports whether a sentence may be long. The text has the number of its words first.
func (all exceptions) long(file, text string) (ok bool) {
	_, sentence, _ := strings.Cut(text, ": ")
	return all.find("long", file, func(rest string) bool { return rest == "*" || strings.HasPrefix(sentence, rest) })
}

// word reports whether a document may use a word of the glossary.
func (all exceptions) word(file, word string) (ok bool) {
	return all.find("word", file, func(rest string) bool { return rest == word })
}

// find notes every exception that applies.
func (all exceptions) find(kind, file string, applies func(rest string) bool) (found bool) {
	for _, e := range all {
		if e.kind == kind && (e.file == "*" || e.file == file) && applies(e.rest) {
			e.used, found = true, true
		}
	}
	return found
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	all := exceptions{
		{kind: "long", file: "docs/a.md", rest: "The first"},
		{kind: "long", file: "docs/b.md", rest: "*"},
		{kind: "word", file: "*", rest: "frame"},
		{kind: "word", file: "docs/a.md", rest: "unused"},
	}
	for _, tt := range []struct {
		name      string
		got, want bool
	}{
		{"the sentence", all.long("docs/a.md", "31 words: The first sentence"), true},
		{"another sentence", all.long("docs/a.md", "31 words: The second"), false},
		{"another file", all.long("docs/c.md", "31 words: The first"), false},
		{"a whole file", all.long("docs/b.md", "40 words: Whatever"), true},
		{"a word", all.word("docs/a.md", "frame"), true},
		{"another word", all.word("docs/a.md", "edge"), false},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: excepted: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	for _, e := range all {
		if used := e.rest != "unused"; e.used != used {
			t.Errorf("the exception %q: used: %v, want %v", e.rest, e.used, used)
		}
	}
}
