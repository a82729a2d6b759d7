package websocket_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/websocket"
)

// tellCompressed is tell for connections that have agreed to compress.
func tellCompressed(t *testing.T, o websocket.DeflateOptions, offer string, stories []story) {
	t.Helper()
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range pieces(len(s.sent)) {
				c := compressing(t, script(s.sent, size-1), o, offer)
				var r recorder
				s.check(t, fmt.Sprintf("%d bytes at a time", size), &r, c.Serve(&r))
			}
		})
	}
}

// fragments returns a compressed message in frames of size bytes.
func fragments(opcode byte, payload string, size int) []byte {
	var sent []byte
	first := opcode | rsv1
	for len(payload) > size {
		sent = append(sent, masked(first, payload[:size])...)
		payload, first = payload[size:], cont
	}
	return append(sent, masked(fin|first, payload)...)
}

func TestInflateExamples(t *testing.T) { // RFC 7692 section 7.2.3
	t.Parallel()
	const hello = "\xf2\x48\xcd\xc9\xc9\x07\x00"
	const first = fin | rsv1 | text
	tellCompressed(t, takeover(), pmd, []story{
		{"7.2.3.1 one block", masked(first, hello), []string{"text:Hello"}, "eof"},
		{"7.2.3.1 two frames", join(masked(rsv1|text, hello[:3]), masked(fin|cont, hello[3:])), []string{"text:Hello"}, "eof"},
		{
			"7.2.3.2 sharing the window", join(masked(first, hello), masked(first, "\xf2\x00\x11\x00\x00")),
			[]string{"text:Hello", "text:Hello"},
			"eof",
		},
		{"7.2.3.3 no compression", masked(first, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), []string{"text:Hello"}, "eof"},
		{
			"7.2.3.4 last block", join(masked(first, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), masked(first, "\xf2\x00\x11\x00\x00")),
			[]string{"text:Hello", "text:Hello"},
			"eof",
		},
		{"last block, and nothing", masked(first, "\xf3\x48\xcd\xc9\xc9\x07\x00"), []string{"text:Hello"}, "eof"},
		{
			"7.2.3.5 two blocks", masked(first, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
			[]string{"text:Hello"},
			"eof",
		},
		{
			"two last blocks, one referring to the other", masked(first, "\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x00\x11\x00\x00"),
			[]string{"text:HelloHello"},
			"eof",
		},
		{
			"last block, then one that refers to an earlier message",
			join(masked(first, hello), masked(first, "\x03\x00\xf2\x00\x11\x00\x00")),
			[]string{"text:Hello", "text:Hello"},
			"eof",
		},
		{"7.2.3.6 empty", masked(first, "\x00"), []string{"text:"}, "eof"},
		{"empty in another way", masked(first, "\x02\x00"), []string{"text:"}, "eof"},
		{"not even a byte", masked(first, ""), []string{"text:"}, "eof"},
		{"empty fragments", join(masked(rsv1|binry, ""), masked(cont, "\x00"), masked(fin|cont, "")), []string{"binary:"}, "eof"},
		{
			"not compressed, between others",
			join(masked(first, hello), masked(fin|text, hello[4:6]), masked(first, "\xf2\x00\x11\x00\x00")),
			[]string{"text:Hello"},
			"violation 1007",
		},
		{
			"not compressed, so not in the window",
			join(masked(first, hello), masked(fin|text, "other"), masked(first, "\xf2\x00\x11\x00\x00")),
			[]string{"text:Hello", "text:other", "text:Hello"},
			"eof",
		},
	})
}

func TestInflateReserved(t *testing.T) { // RFC 7692 section 6
	t.Parallel()
	const empty = "\x00"
	whole := masked(fin|rsv1|text, empty)
	stories := []story{
		{"in the second frame", join(masked(rsv1|text, ""), masked(fin|rsv1|cont, empty)), nil, "violation 1002"},
		{"only in the second frame", join(masked(text, ""), masked(fin|rsv1|cont, empty)), nil, "violation 1002"},
		{
			"control frames between", join(masked(rsv1|text, ""), masked(fin|ping, "p"), masked(fin|cont, empty)),
			[]string{"control:8a:p", "text:"},
			"eof",
		},
	}
	for _, op := range []byte{closeF, ping, pong, 3, 11} {
		stories = append(stories, story{
			fmt.Sprintf("opcode %d", op), join(whole, masked(fin|rsv1|op, "")), []string{"text:"}, "violation 1002",
		})
	}
	for rsv := byte(1); rsv < 8; rsv++ {
		if rsv == 4 {
			continue
		}
		for _, op := range []byte{text, binry, closeF, ping, pong} {
			stories = append(stories, story{
				fmt.Sprintf("bits %d opcode %d", rsv, op), join(whole, masked(fin|rsv<<4|op, empty)),
				[]string{"text:"},
				"violation 1002",
			})
		}
	}
	tellCompressed(t, safe(), pmd, stories)
}

func TestInflateRefusals(t *testing.T) {
	t.Parallel()
	const first = fin | rsv1 | text
	hello := newDeflating(t, false, 15).compress("Hello")
	tellCompressed(t, safe(), pmd, []story{
		{"block of a kind that does not exist", masked(first, "\x06\x00"), nil, "violation 1007"},
		{"stored block without its complement", masked(first, "\x00\x05\x00\xff\xffHello\x00"), nil, "violation 1007"},
		{"stored block that is too short", masked(first, "\x00\x50\x00\xaf\xffHello"), nil, "violation 1007"},
		{"garbage", masked(first, "garbage"), nil, "violation 1007"},
		{
			"an earlier message, without takeover", join(masked(first, hello), masked(first, "\xf2\x00\x11\x00\x00")),
			[]string{"text:Hello"},
			"violation 1007",
		},
		{"garbage behind a last block", masked(first, "\xf3\x48\xcd\xc9\xc9\x07\x00\xff\xff\xff\xff"), nil, "violation 1007"},
		{"a few last blocks", masked(first, strings.Repeat("\x03\x00", 15)), []string{"text:"}, "eof"},
		{"many last blocks", masked(first, strings.Repeat("\x03\x00", 1000)), nil, "violation 1007"},
	})
	var stories []story
	client := newDeflating(t, false, 15)
	for _, s := range utf8Cases() {
		sent := fragments(text, client.compress(s), 3)
		want, end := []string{"text:" + s}, "eof"
		if strings.ToValidUTF8(s, "") != s {
			want, end = nil, "violation 1007"
		}
		stories = append(stories, story{fmt.Sprintf("%q", s), sent, want, end})
	}
	stories = append(stories, story{
		"binary is not checked", masked(fin|rsv1|binry, client.compress("\xff")), []string{"binary:\xff"}, "eof",
	})
	tellCompressed(t, safe(), pmd, stories)
}

// The limit is one for what a message is decompressed, to the byte.
func TestInflateLimit(t *testing.T) { // EIO-WD-4
	t.Parallel()
	client := newDeflating(t, false, 15)
	full := strings.Repeat("x", limit)
	incompressible := noise(limit, 1)
	stored := client.compress(incompressible)
	if len(stored) <= limit {
		t.Fatalf("noise was compressed to %d bytes", len(stored))
	}
	bomb := client.compress(strings.Repeat("\x00", 64<<20))
	tellCompressed(t, safe(), pmd, []story{
		{"at the limit", masked(fin|rsv1|text, client.compress(full)), []string{"text:" + full}, "eof"},
		{"one above", masked(fin|rsv1|text, client.compress(full+"x")), nil, "violation 1009"},
		{
			"at the limit, and longer than that when compressed", fragments(binry, stored, 100_000),
			[]string{"binary:" + incompressible},
			"eof",
		},
		{"bomb", masked(fin|rsv1|binry, bomb), nil, "violation 1009"},
		{"bomb in fragments", fragments(text, bomb, 1000), nil, "violation 1009"},
		{
			"too long when compressed, by the header alone", masked(fin|rsv1|binry, strings.Repeat("\x00", limit+limit/10))[:14],
			nil, "violation 1009",
		},
		{
			"not summed over messages", bytes.Repeat(masked(fin|rsv1|text, client.compress(full[:limit/2])), 3),
			slices.Repeat([]string{"text:" + full[:limit/2]}, 3), "eof",
		},
	})
}

func TestInflateSmallLimits(t *testing.T) { // EIO-WD-4
	client := newDeflating(t, false, 15)
	for _, most := range []int{0, 1, 100, websocket.BufferSize - 1, websocket.BufferSize, websocket.BufferSize + 1} {
		for _, n := range []int{0, most / 2, most, most + 1, 10 * (most + 1)} {
			want := json(n, 1)
			got, err := websocket.Inflate([]byte(client.compress(want)), nil, most)
			switch {
			case n <= most && (err != nil || string(got) != want):
				t.Errorf("%d bytes, at most %d: %d, %v", n, most, len(got), err)
			case n > most && (err == nil || outcome(err) != "violation 1009"):
				t.Errorf("%d bytes, at most %d: %v", n, most, err)
			}
		}
	}
}

// A bomb of a gigabyte takes no more memory than the largest message may have,
// in buffers that double.
func TestInflateBombMemory(t *testing.T) { // EIO-WD-4
	megabyte := newDeflating(t, false, 15).compress(strings.Repeat("\x00", 1<<20)) + flushed
	bomb := masked(fin|rsv1|binry, strings.Repeat(megabyte, 1<<10))
	c := websocket.New(nil, 2*limit, nil)
	c.Compress(agree(t, websocket.NewDeflate(safe()), pmd))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := c.Parse(new(recorder), bomb)
	runtime.ReadMemStats(&after)
	if outcome(err) != "violation 1009" {
		t.Error(err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 3*2*limit {
		t.Errorf("%d bytes were allocated", got)
	}
}

// FuzzInflate decompresses anything, as the standard library does.
func FuzzInflate(f *testing.F) {
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), []byte(nil), uint16(100))
	f.Add([]byte("\xf2\x00\x11\x00\x00"), []byte("Hello"), uint16(100))
	f.Add([]byte("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x00\x11\x00\x00"), []byte(nil), uint16(9))
	f.Add([]byte("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), []byte(nil), uint16(5))
	f.Add([]byte(newDeflating(f, false, 15).compress(json(2000, 1))), []byte(nil), uint16(2000))
	f.Add([]byte(newDeflating(f, false, 15).compress(strings.Repeat("a", 70_000))), []byte(nil), uint16(60_000))
	f.Fuzz(func(t *testing.T, p, window []byte, limit uint16) {
		window = window[max(0, len(window)-1<<15):]
		got, err := websocket.Inflate(bytes.Clone(p), window, int(limit))
		want, wantErr := stdInflate(p, window, int(limit))
		// Of several things that are wrong, either may be noticed first.
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v, want %v", err, wantErr)
		}
		if !bytes.Equal(got, want) || len(got) > int(limit) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}
