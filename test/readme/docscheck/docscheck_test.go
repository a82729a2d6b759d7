package docscheck_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/test/readme/docscheck"
)

const page = `# A page

See [there](other.md), [a part](other.md#two-words-1), [here](#a-page), [them](https://example.com/x.md#y),
and [the <code>](../core/file.go).

<!-- [nothing](nowhere.md)
in a comment -->

` + "```go\n// [nothing](nowhere.md) in code\n```" + `

- an item with ` + "`[code](nowhere.md)`" + ` and ` + "`core/file.go`" + `
`

func repository(documents ...*docscheck.Document) *docscheck.Repository {
	r := &docscheck.Repository{
		Files:     map[string]bool{"core": true, "core/file.go": true, "docs": true},
		Documents: map[string]*docscheck.Document{},
	}
	for _, d := range documents {
		r.Files[d.File], r.Documents[d.File] = true, d
	}
	return r
}

func TestLinks(t *testing.T) {
	t.Parallel()
	other := docscheck.Parse("docs/other.md", "# Two words\n\n## Two words!\n\n<a id=\"own\"></a>\n")
	for _, tt := range []struct {
		text string
		want []string
	}{
		{page, nil},
		{"[x](other.md#own)", nil},
		{"[x](missing.md)", []string{"docs/page.md:1: the link missing.md leads nowhere: there is no docs/missing.md"}},
		{"one\n\n![x](missing.png)", []string{"docs/page.md:3: the link missing.png leads nowhere: there is no docs/missing.png"}},
		{"[x](#three)", []string{"docs/page.md:1: the link #three leads nowhere: docs/page.md has no such heading"}},
		{"| a |\n|---|\n| [x](other.md#three) |", []string{"docs/page.md:3: the link other.md#three leads nowhere: docs/other.md has no such heading"}},
		{"[x](other.md#two-words-2)", []string{"docs/page.md:1: the link other.md#two-words-2 leads nowhere: docs/other.md has no such heading"}},
	} {
		d := docscheck.Parse("docs/page.md", tt.text)
		want(t, tt.text, repository(d, other).Links(d), tt.want)
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []string
	}{
		{page, nil},
		{"`core/...` and `core/` and `file.go` and `chat_test.go`", nil},
		{"`core: fix file.go`, `nowhere/at all`", nil},
		{"`core/engine`", []string{"docs/page.md:1: there is no core/engine"}},
		{"x\ny `elsewhere/file.go`", []string{"docs/page.md:1: there is no elsewhere/file.go"}},
	} {
		d := docscheck.Parse("docs/page.md", tt.text)
		want(t, tt.text, repository(d).Paths(d), tt.want)
	}
}

func TestLongSentences(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"One two three. One two three! One `two` three? One two\nthree.", nil},
		{"# one two three\n- one two three\n- one two three\n\none two three:\n\n> one two three", nil},
		{"| one two | two three four |\n|---|---|\n| `a | b` two three | - – 1 |", nil},
		{"one\n\n    one two three four\n\n- one\n\n      one two three four", nil},
		{"```\none two three four five\n```\n<!-- one two three four -->", nil},
		{"one [two three four](x)", []string{"docs/page.md:1: 4 words: one two three four"}},
		{"- one two\n  three four", []string{"docs/page.md:1: 4 words: one two three four"}},
		{"one two three. sioplug one two! *One* two three.", nil},
		{"one two, e.g. three", []string{"docs/page.md:1: 4 words: one two, e.g. three"}},
		{"One 1.5 `a b`. `One` two three four.", []string{"docs/page.md:1: 4 words: `x` two three four."}},
		{"one\n\n| one | two three four five |", []string{"docs/page.md:3: 4 words: two three four five"}},
	} {
		var got []docscheck.Problem
		for _, s := range docscheck.Parse("docs/page.md", tt.text).LongSentences(3) {
			got = append(got, s.Problem)
		}
		want(t, tt.text, got, tt.want)
	}
}

func TestUndefinedWords(t *testing.T) {
	t.Parallel()
	private := docscheck.Glossary("| a | b |\n|---|---|\n| c | d |\n\n| word | meaning |\n|---|---|\n" +
		"| Parked poll (`x.Y`) | z |\n| edge, **gate** | z |\n\n| other | table |\n")
	if got, want := strings.Join(private, "; "), "parked poll; edge; gate"; got != want {
		t.Fatalf("the glossary has %q, want %q", got, want)
	}
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"The `edge` and the hedge, and a knowledge-edge.", nil},
		{"An *edge* is a limit. Each edge counts. [Parked polls](architecture.md#glossary) wait.", nil},
		{"x\n\nTwo Edges.", []string{`docs/page.md:3: the word "edge" is private, and not defined here`}},
		{"a parked\npoll", []string{`docs/page.md:1: the word "parked poll" is private, and not defined here`}},
		{"[gate](other.md)", []string{`docs/page.md:1: the word "gate" is private, and not defined here`}},
	} {
		var got []docscheck.Problem
		for _, p := range docscheck.Parse("docs/page.md", tt.text).UndefinedWords(private) {
			got = append(got, p)
		}
		want(t, tt.text, got, tt.want)
	}
}

func want(t *testing.T, text string, got []docscheck.Problem, want []string) {
	t.Helper()
	var lines []string
	for _, p := range got {
		lines = append(lines, p.String())
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%s\ngot  %q\nwant %q", text, lines, want)
	}
}
