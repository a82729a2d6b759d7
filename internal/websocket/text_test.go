package websocket_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sioplug/sioplug/internal/websocket"
)

// utf8Cases are those of section 6 of the Autobahn test suite.
func utf8Cases() []string {
	return []string{
		"Hello-µ@ßöäüàá-UTF-8!!",                                             // 6.2
		"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited", // 6.4
		"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",     // 6.3
		"\xce", "\xce\xba", "\xce\xba\xe1", "\xce\xba\xe1\xbd", "\xce\xba\xe1\xbd\xb9", // 6.5
		"\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80", // 6.6: first of each length
		"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80",
		"\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf", "\xf7\xbf\xbf\xbf", // 6.7: last
		"\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x90\x80\x80", // 6.9, 6.10
		"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80\xbf\x80", // 6.11: lonely continuations
		"\xc0 \xc1 ", "\xe0 \xe1 ", "\xf0 \xf1 ", "\xf8 \xf9 ", "\xfc ", // 6.13: lonely starts
		"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xdf", "\xef\xbf", "\xf7\xbf\xbf", // 6.14
		"\xfe", "\xff", "\xfe\xfe\xff\xff", // 6.16
		"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", // 6.17, 6.18
		"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", // 6.20, 6.21
		"\xef\xbf\xbe", "\xf0\x9f\xbf\xbe", "\xf4\x8f\xbf\xbe", // 6.22: no characters, but valid
	}
}

func TestUTF8(t *testing.T) { // 6
	t.Parallel()
	stories := []story{
		{"6.1 empty", masked(fin|text, ""), []string{"text:"}, "eof"},
		{"6.1 empty fragments", join(masked(text, ""), masked(cont, ""), masked(fin|cont, "")), []string{"text:"}, "eof"},
		{"binary is not checked", masked(fin|binry, "\xff"), []string{"binary:\xff"}, "eof"},
		{"binary in fragments", join(masked(binry, "\xff"), masked(fin|cont, "\xc0")), []string{"binary:\xff\xc0"}, "eof"},
		{
			"text behind binary is", join(masked(fin|binry, "\xff"), masked(fin|text, "\xff")),
			[]string{"binary:\xff"},
			"violation 1007",
		},
	}
	for _, s := range utf8Cases() {
		want, end := []string{"text:" + s}, "eof"
		if !utf8.ValidString(s) {
			want, end = nil, "violation 1007"
		}
		stories = append(stories, story{fmt.Sprintf("whole %q", s), masked(fin|text, s), want, end})
		bytewise := masked(text, "")
		for i := range len(s) {
			bytewise = append(bytewise, masked(cont, s[i:i+1])...)
		}
		bytewise = append(bytewise, masked(fin|cont, "")...)
		stories = append(stories, story{fmt.Sprintf("fragments %q", s), bytewise, want, end})
	}
	runStories(t, stories)
}

// Text that cannot become valid any more is refused with the byte that makes it
// so, whatever is still to come of the frame.
func TestUTF8FailsFast(t *testing.T) {
	const rest = 200
	for _, s := range utf8Cases() {
		c := websocket.New(nil, limit, nil)
		sent := masked(text, s+strings.Repeat("a", rest))
		head := len(sent) - len(s) - rest
		if err := c.Parse(new(recorder), sent[:head]); err != nil {
			t.Fatal(err)
		}
		for i := range len(s) {
			got := c.Parse(new(recorder), sent[head+i:head+i+1])
			if want := hopeless(s[:i+1]); (got != nil) != want {
				t.Errorf("%q: error %v, want one: %v", s[:i+1], got, want)
			}
			if got != nil {
				break
			}
		}
	}
}

// hopeless reports whether nothing that could follow makes s valid UTF-8. It
// tries: the second byte of a character decides about it.
func hopeless(s string) bool {
	for _, second := range []string{"", "\x80", "\x8f", "\x90", "\x9f", "\xa0", "\xbf"} {
		for _, more := range []string{"", "\x80", "\x80\x80"} {
			if utf8.ValidString(s + second + more) {
				return false
			}
		}
	}
	return true
}
