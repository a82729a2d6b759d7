package websocket_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A story is what a client sends and what has to come of it. The numbers in the
// names are those of the public Autobahn test suite.
type story struct {
	name string
	sent []byte
	want []string // messages and controls
	end  string   // outcome
}

const limit = 1 << 20 // of the messages in the stories

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

func TestFraming(t *testing.T) { // 1
	t.Parallel()
	var stories []story
	for _, n := range []int{0, 1, 125, 126, 127, 128, 4096, 65535, 65536, 100000} {
		data := strings.Repeat("*", n)
		raw := strings.Repeat("\xfe", n)
		stories = append(stories,
			story{fmt.Sprintf("1.1 text %d", n), masked(fin|text, data), []string{"text:" + data}, "eof"},
			story{fmt.Sprintf("1.2 binary %d", n), masked(fin|binry, raw), []string{"binary:" + raw}, "eof"})
	}
	stories = append(stories,
		story{
			"length in a longer form than needed",
			join(appendMasked([]byte{fin | text, 0x80 | 126, 0, 2}, "ab"),
				appendMasked([]byte{fin | text, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 2}, "cd")),
			[]string{"text:ab", "text:cd"},
			"eof",
		},
		story{"64-bit length with the top bit", []byte{fin | binry, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4}, nil, "violation 1002"},
		story{"no mask", []byte{fin | text, 2, 'h', 'i'}, nil, "violation 1002"},
		story{"no mask, seen at once", []byte{fin | text, 126}, nil, "violation 1002"},
		story{"nothing", nil, nil, "eof"},
		story{"ends in a header", masked(fin|text, "abc")[:3], nil, "eof"},
		story{"ends in a payload", masked(fin|text, "abc")[:7], nil, "eof"})
	runStories(t, stories)
}

func TestPings(t *testing.T) { // 2
	t.Parallel()
	long := strings.Repeat("\xfe", 125)
	runStories(t, []story{
		{"2.1 empty", masked(fin|ping, ""), []string{"control:8a:"}, "eof"},
		{"2.2 text", masked(fin|ping, "Hello"), []string{"control:8a:Hello"}, "eof"},
		{"2.3 binary", masked(fin|ping, "\x00\xff\xfe"), []string{"control:8a:\x00\xff\xfe"}, "eof"},
		{"2.4 125 bytes", masked(fin|ping, long), []string{"control:8a:" + long}, "eof"},
		{"2.5 126 bytes", masked(fin|ping, long+"!"), nil, "violation 1002"},
		{"2.5 short, with a long length", appendMasked([]byte{fin | ping, 0x80 | 126, 0, 1}, "a"), nil, "violation 1002"},
		{"2.7 unasked pong", masked(fin|pong, ""), nil, "eof"},
		{"2.8 unasked pong with payload", masked(fin|pong, "unasked"), nil, "eof"},
		{
			"2.9 pong and ping",
			join(masked(fin|pong, "unasked"), masked(fin|ping, "a")),
			[]string{"control:8a:a"},
			"eof",
		},
		{
			"2.10 ten pings",
			bytes.Repeat(masked(fin|ping, "x"), 10), slices.Repeat([]string{"control:8a:x"}, 10), "eof",
		},
	})
}

func TestReserved(t *testing.T) { // 3 and 4
	t.Parallel()
	var stories []story
	hello := masked(fin|text, "Hello")
	for rsv := byte(1); rsv < 8; rsv++ {
		for _, op := range []byte{text, binry, closeF, ping, pong} {
			stories = append(stories, story{
				fmt.Sprintf("3 bits %d opcode %d", rsv, op),
				join(hello, masked(fin|rsv<<4|op, "")),
				[]string{"text:Hello"},
				"violation 1002",
			})
		}
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		stories = append(stories,
			story{
				fmt.Sprintf("4 opcode %d", op),
				join(hello, masked(fin|op, ""), masked(fin|ping, "")),
				[]string{"text:Hello"},
				"violation 1002",
			},
			story{
				fmt.Sprintf("4 opcode %d with payload", op), masked(fin|op, "reserved"), nil, "violation 1002",
			})
	}
	runStories(t, stories)
}

func TestFragmentation(t *testing.T) { // 5
	t.Parallel()
	ab := []string{"text:fragment1fragment2"}
	runStories(t, []story{
		{"5.1 ping", join(masked(ping, "a"), masked(fin|cont, "b")), nil, "violation 1002"},
		{"5.2 pong", join(masked(pong, "a"), masked(fin|cont, "b")), nil, "violation 1002"},
		{"7 fragmented close", masked(closeF, ""), nil, "violation 1002"},
		{"5.3 text", join(masked(text, "fragment1"), masked(fin|cont, "fragment2")), ab, "eof"},
		{
			"5.6 ping inside",
			join(masked(text, "fragment1"), masked(fin|ping, "p"), masked(fin|cont, "fragment2")),
			append([]string{"control:8a:p"}, ab...), "eof",
		},
		{
			"pong inside",
			join(masked(text, "fragment1"), masked(fin|pong, "p"), masked(fin|cont, "fragment2")), ab, "eof",
		},
		{"5.9 continuation of nothing", masked(fin|cont, "a"), nil, "violation 1002"},
		{"5.12 unfinished continuation of nothing", masked(cont, "a"), nil, "violation 1002"},
		{
			"5.15 continuation behind a message",
			join(masked(text, "fragment1"), masked(fin|cont, "fragment2"), masked(cont, "a")), ab, "violation 1002",
		},
		{"5.18 text inside text", join(masked(text, "a"), masked(fin|text, "b")), nil, "violation 1002"},
		{"binary inside text", join(masked(text, "a"), masked(binry, "b")), nil, "violation 1002"},
		{
			"5.19 pings between all",
			join(masked(text, "f1"), masked(cont, "f2"), masked(fin|ping, "a"), masked(cont, "f3"),
				masked(cont, "f4"), masked(fin|ping, "b"), masked(fin|cont, "f5")),
			[]string{"control:8a:a", "control:8a:b", "text:f1f2f3f4f5"},
			"eof",
		},
		{"empty fragments", join(masked(binry, ""), masked(cont, ""), masked(fin|cont, "")), []string{"binary:"}, "eof"},
		{
			"empty first and last",
			join(masked(text, ""), masked(cont, "a"), masked(fin|cont, "")),
			[]string{"text:a"},
			"eof",
		},
		{
			"empty first, then whole",
			join(masked(binry, ""), masked(fin|cont, "all"), masked(fin|text, "next")),
			[]string{"binary:all", "text:next"},
			"eof",
		},
		{
			"a thousand",
			join(masked(binry, ""), bytes.Repeat(masked(cont, "ab"), 1000), masked(fin|cont, "")),
			[]string{"binary:" + strings.Repeat("ab", 1000)},
			"eof",
		},
		{"unfinished", join(masked(text, "a"), masked(fin|ping, "b")), []string{"control:8a:b"}, "eof"},
	})
}

func TestClosing(t *testing.T) { // 7
	t.Parallel()
	reason := strings.Repeat("*", 123)
	stories := []story{
		{"7.1.1", join(masked(fin|text, "a"), closing(1000, "")), []string{"text:a", "control:88:\x03\xe8"}, "closed 1000 "},
		{"7.1.3 ping behind", join(closing(1000, ""), masked(fin|ping, "")), []string{"control:88:\x03\xe8"}, "closed 1000 "},
		{"7.1.4 text behind", join(closing(1000, ""), masked(fin|text, "a")), []string{"control:88:\x03\xe8"}, "closed 1000 "},
		{"garbage behind", join(closing(1000, ""), []byte("\xff\xff")), []string{"control:88:\x03\xe8"}, "closed 1000 "},
		{
			"7.1.5 inside a message", join(masked(text, "a"), closing(1000, ""), masked(fin|cont, "b")),
			[]string{"control:88:\x03\xe8"},
			"closed 1000 ",
		},
		{"7.3.1 empty", masked(fin|closeF, ""), []string{"control:88:"}, "closed 1005 "},
		{"7.3.2 one byte", masked(fin|closeF, "a"), nil, "violation 1002"},
		{"7.3.4 reason", closing(1000, "Hello World!"), []string{"control:88:\x03\xe8"}, "closed 1000 Hello World!"},
		{"7.3.5 long reason", closing(1000, reason), []string{"control:88:\x03\xe8"}, "closed 1000 " + reason},
		{"7.3.6 too long", closing(1000, reason+"*"), nil, "violation 1002"},
		{"7.5.1 not UTF-8", closing(1000, "\xce\xba\xed\xa0\x80"), nil, "violation 1007"},
		{"unfinished UTF-8", closing(1000, "\xce"), nil, "violation 1007"},
	}
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		echo := fmt.Sprintf("control:88:%c%c", rune(0), rune(0))
		echo = echo[:len(echo)-2] + string([]byte{byte(code >> 8), byte(code)})
		stories = append(stories, story{
			fmt.Sprintf("7.7 code %d", code), closing(code, ""), []string{echo}, fmt.Sprintf("closed %d ", code),
		})
	}
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		stories = append(stories, story{
			fmt.Sprintf("7.9 code %d", code), closing(code, ""), nil, "violation 1002",
		})
	}
	runStories(t, stories)
}

func TestLimits(t *testing.T) { // 9 and EIO-WS-6
	t.Parallel()
	full := strings.Repeat("x", limit)
	half := full[:limit/2]
	runStories(t, []story{
		{"9.1 at the limit", masked(fin|binry, full), []string{"binary:" + full}, "eof"},
		{
			"9.3 at the limit in fragments",
			join(masked(text, half), masked(fin|ping, ""), masked(fin|cont, half)),
			[]string{"control:8a:", "text:" + full},
			"eof",
		},
		{"one above, by the header alone", masked(fin|binry, full+"x")[:14], nil, "violation 1009"},
		{"63 bits", []byte{fin | binry, 0xFF, 0x7F, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4}, nil, "violation 1009"},
		{
			"one above in fragments",
			join(masked(text, full), masked(cont, ""), masked(fin|cont, "x")[:6]), nil, "violation 1009",
		},
		{
			"not summed over messages",
			join(masked(fin|binry, half), masked(fin|binry, half), masked(fin|binry, half)),
			[]string{"binary:" + half, "binary:" + half, "binary:" + half},
			"eof",
		},
	})
}

// runStories runs every story over every network, in pieces of several sizes and
// with everything or a part sent ahead.
func runStories(t *testing.T, stories []story) {
	t.Helper()
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, n := range networks() {
				for _, size := range pieces(len(s.sent)) {
					r, err := converse(t, n, limit, nil, s.sent, size)
					s.check(t, fmt.Sprintf("%s, %d bytes at a time", n.name, size), r, err)
				}
			}
			for _, cut := range []int{len(s.sent), len(s.sent) / 2, 1} {
				cut = min(cut, len(s.sent))
				ahead := bytes.Clone(s.sent[:cut])
				r, err := converse(t, networks()[0], limit, ahead, s.sent[cut:], len(s.sent))
				s.check(t, fmt.Sprintf("%d bytes ahead", cut), r, err)
			}
		})
	}
}

// pieces returns how to divide n bytes: not at all, and into single ones if that
// takes no time.
func pieces(n int) []int {
	switch {
	case n < 2:
		return []int{1}
	case n < 512:
		return []int{n, 1}
	default:
		return []int{n, max(1021, n/64)}
	}
}

func (s story) check(t *testing.T, how string, r *recorder, err error) {
	t.Helper()
	if !slices.Equal(r.events, s.want) {
		t.Errorf("%s: got %.200q, want %.200q", how, r.events, s.want)
	}
	if got := outcome(err); got != s.end {
		t.Errorf("%s: ended with %q, want %q", how, got, s.end)
	}
	if err == nil || err.Error() == "" {
		t.Errorf("%s: an error without words", how)
	}
}
