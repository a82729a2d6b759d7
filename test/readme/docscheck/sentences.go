package docscheck

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

var (
	sentenceEnd  = regexp.MustCompile(`[.!?]["')*_]*\s+`)
	abbreviation = regexp.MustCompile(`(?:^|[\s(])(?:e\.g|i\.e|vs)\.$`)
)

// A Sentence is one of a document.
type Sentence struct {
	Problem

	Words int
}

// LongSentences returns the sentences with more words than the limit. A code span counts
// as one word.
func (d *Document) LongSentences(limit int) (long []Sentence) {
	for _, b := range d.blocks {
		for _, s := range split(b.prose()) {
			if n := words(s); n > limit {
				text := strings.Join(strings.Fields(s), " ")
				long = append(long, Sentence{Problem{d.File, b.line, fmt.Sprintf("%d words: %s", n, text)}, n})
			}
		}
	}
	return long
}

// split returns the sentences of a text.
func split(text string) (sentences []string) {
	begin := 0
	for _, end := range sentenceEnd.FindAllStringIndex(text, -1) {
		if !abbreviation.MatchString(text[begin : end[0]+1]) {
			sentences = append(sentences, text[begin:end[1]])
			begin = end[1]
		}
	}
	return append(sentences, text[begin:])
}

// words counts what has a letter or a digit.
func words(sentence string) (n int) {
	for w := range strings.FieldsSeq(sentence) {
		if strings.ContainsFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			n++
		}
	}
	return n
}
