package docscheck

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var parenthesis = regexp.MustCompile(`\([^)]*\)`)

// Glossary returns the words that the tables of a document with the head "| word | meaning |"
// define. A cell may have several words, with commas between them.
func Glossary(markdown string) (private []string) {
	inside := false
	for line := range strings.Lines(markdown) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		switch {
		case !strings.HasPrefix(line, "|") || len(cells) < 3:
			inside = false
		case strings.TrimSpace(cells[1]) == "word" && strings.TrimSpace(cells[2]) == "meaning":
			inside = true
		case inside && !divider.MatchString(line):
			cell := parenthesis.ReplaceAllString(codeSpan.ReplaceAllString(cells[1], ""), "")
			for word := range strings.SplitSeq(cell, ",") {
				if word = strings.ToLower(strings.Trim(word, " *_")); word != "" && !slices.Contains(private, word) {
					private = append(private, word)
				}
			}
		}
	}
	return private
}

// UndefinedWords returns the private words that a document uses without a definition. A
// document defines a word where it emphasizes it, or has it in a link to a glossary.
func (d *Document) UndefinedWords(private []string) (used map[string]Problem) {
	used = make(map[string]Problem)
	for _, word := range private {
		spelled := strings.ReplaceAll(regexp.QuoteMeta(word), " ", `\s+`)
		use := regexp.MustCompile(`(?i)(?:^|[^\w-])` + spelled + `(?:e?s)?(?:$|[^\w-])`)
		definition := regexp.MustCompile(`(?i)[*_]` + spelled + `(?:e?s)?[*_]|\[[^\]]*` + spelled + `[^\]]*\]\([^)]*#[^)]*glossary`)
		if slices.ContainsFunc(d.blocks, func(b block) bool { return definition.MatchString(b.text) }) {
			continue
		}
		for _, b := range d.blocks {
			if use.MatchString(b.prose()) {
				used[word] = Problem{d.File, b.line, fmt.Sprintf("the word %q is private, and not defined here", word)}
				break
			}
		}
	}
	return used
}
