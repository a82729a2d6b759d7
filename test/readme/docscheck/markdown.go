// Package docscheck finds mistakes in Markdown documents: links that lead nowhere, files
// that do not exist, sentences that are too long, and private words without a definition.
package docscheck

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// A Problem is a mistake in a document.
type Problem struct {
	File string
	Line int
	Text string
}

// String returns the problem as compilers do.
func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text) }

// A Document is a Markdown file.
type Document struct {
	File string // its path from the root of the repository, with slashes

	blocks  []block
	anchors map[string]bool
}

// A block is text that belongs together: a paragraph, a list item, a heading, or a cell
// of a table. Code blocks and comments are none.
type block struct {
	line int
	text string
}

var (
	comment  = regexp.MustCompile(`(?s)<!--.*?-->`)
	heading  = regexp.MustCompile(`^#{1,6} +(.*)$`)
	listItem = regexp.MustCompile(`^\s*(?:[-*+]|\d+\.) +`)
	indented = regexp.MustCompile(`^(?: {4}|\t)\s*[^\s\d*+-]`)
	divider  = regexp.MustCompile(`^\s*\|[\s|:-]*\|\s*$`)
	htmlID   = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
	codeSpan = regexp.MustCompile("`[^`]+`")
	link     = regexp.MustCompile(`!?\[([^\]]*)\]\(([^)\s]+)\)`)
)

// Parse reads a document.
func Parse(file, text string) *Document {
	d := &Document{File: file, anchors: make(map[string]bool)}
	// A comment leaves its line breaks, so that lines keep their numbers.
	text = comment.ReplaceAllStringFunc(text, func(c string) string {
		return strings.Repeat("\n", strings.Count(c, "\n"))
	})
	for _, id := range htmlID.FindAllStringSubmatch(text, -1) {
		d.anchors[id[1]] = true
	}
	fence, open := "", false // open: the last block may go on
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence != "":
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
		case strings.HasPrefix(trimmed, "```"), strings.HasPrefix(trimmed, "~~~"):
			fence, open = trimmed[:3], false
		case trimmed == "", divider.MatchString(line):
			open = false
		case !open && indented.MatchString(line): // code
		case strings.HasPrefix(trimmed, "|"):
			open = false
			d.row(i+1, trimmed)
		case heading.MatchString(line):
			open = false
			title := heading.FindStringSubmatch(line)[1]
			d.anchor(title)
			d.blocks = append(d.blocks, block{i + 1, title})
		case listItem.MatchString(line):
			open = true
			d.blocks = append(d.blocks, block{i + 1, listItem.ReplaceAllString(line, "")})
		case open:
			d.blocks[len(d.blocks)-1].text += "\n" + strings.TrimPrefix(trimmed, "> ")
		default:
			open = true
			d.blocks = append(d.blocks, block{i + 1, strings.TrimPrefix(trimmed, "> ")})
		}
	}
	return d
}

// row adds the cells of a row of a table. A bar in a code span divides nothing.
func (d *Document) row(line int, text string) {
	inCode := false
	cells := strings.FieldsFunc(text, func(r rune) bool {
		if r == '`' {
			inCode = !inCode
		}
		return r == '|' && !inCode
	})
	for _, cell := range cells {
		if cell = strings.TrimSpace(cell); cell != "" {
			d.blocks = append(d.blocks, block{line, cell})
		}
	}
}

// anchor adds the anchor that GitHub gives a heading.
func (d *Document) anchor(title string) {
	title = link.ReplaceAllString(title, "$1")
	var slug strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			slug.WriteRune(r)
		case r == ' ':
			slug.WriteByte('-')
		}
	}
	name := slug.String()
	for n := 1; d.anchors[name]; n++ {
		name = fmt.Sprintf("%s-%d", slug.String(), n)
	}
	d.anchors[name] = true
}

// prose returns the text as it is read: without code, and links as their text.
func (b block) prose() string {
	return link.ReplaceAllString(codeSpan.ReplaceAllString(b.text, "`x`"), "$1")
}
