package text_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sioplug/sioplug/internal/require"
	"github.com/sioplug/sioplug/internal/text"
)

func TestValid(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                         "",
		"plain é日😀":                "plain é日😀",
		"\xff\xe9":                 "\ufffd\ufffd",
		"a\xe2\x82b":               "a\ufffdb", // cut short
		"\xe2\x82":                 "\ufffd",
		"\xf0\x9f\x98":             "\ufffd",
		"\xf0\x9f\x98\xf0\x9f":     "\ufffd\ufffd",
		"\xed\xa0\xbd":             "\ufffd\ufffd\ufffd", // half a surrogate pair
		"\xc0\x80":                 "\ufffd\ufffd",       // too long
		"\xf4\x90\x80\x80":         "\ufffd\ufffd\ufffd\ufffd",
		"\x80\xbf":                 "\ufffd\ufffd",
		"\xc3\"":                   "\ufffd\"",
		"\ufffd":                   "\ufffd",
		"\xe0\x9f\xbf\xe0\xa0\xbf": "\ufffd\ufffd\ufffd\u083f",
	} {
		if got := string(text.Valid([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	p := []byte("é")
	if q := text.Valid(p); &q[0] != &p[0] {
		t.Error("valid text was copied")
	}
}

func TestEIO_DEC_2_Base64(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "A": "", "AA": "\x00", "AAA": "\x00\x00", "AAAA": "\x00\x00\x00", "AAAAA": "\x00\x00\x00",
		"Aw==": "\x03", "Aw==\n": "\x03", "Aw oR": "\x03\x0a\x11", "AwoR\n": "\x03\x0a\x11", "Awo= ": "\x03\x0a",
		"Aw=\n=": "\x03", "Aw\r\no=\r\n": "\x03\x0a", "-_8=": "\xfb\xff", "+-/_": "\xfb\xef\xff", "A!A": "\x00",
		"====": "", "=AAA": "", "A=": "", "QQ==QQ==": "A", "QUI=QUI=": "AB", "QUI=D": "AB", "!!": "", "Q\x00Q\xff\xfe": "A",
	} {
		if got := string(text.Base64([]byte(in))); got != want {
			t.Errorf("%q is %x, want %x", in, got, want)
		}
	}
}

// pieces returns n random strings, made of these parts.
func pieces(n int, parts ...string) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	list := make([][]byte, n)
	for i := range list {
		list[i] = []byte{}
		for range r.IntN(24) {
			list[i] = append(list[i], parts[r.IntN(len(parts))]...)
		}
	}
	return list
}

// Node.js and we read the same. In versions before 21, Node.js goes on behind an equals
// sign, which nobody relies on.
func TestDifferenceToNode(t *testing.T) {
	t.Parallel()
	node := require.Tool(t, "node")
	inputs := append(
		pieces(4000, "A", "B", "z", "9", "+", "/", "-", "_", "=", "\n", "\r\n", " ", "\t", "!", "AAAA", "QUI="),
		pieces(4000, "a", "é", "日", "😀", "\xc0", "\xc3", "\xe0", "\xe2\x82", "\xed", "\xed\xa0", "\xf0\x9f", "\xf4", "\xf5", "\x80", "\x9f", "\xa0", "\xbf", "\xff")...,
	)
	const program = `
const old = Buffer.from("QQ==QQ==", "base64").length > 1;
const list = JSON.parse(require("fs").readFileSync(0)).map((s) => Buffer.from(s, "base64"));
console.log(JSON.stringify(list.map((b) => ({
  base64: old && /=.*[\w+/-]/s.test(b.toString("latin1")) ? null : Buffer.from(b.toString("latin1"), "base64").toString("base64"),
  text: b.toString("utf8"),
}))));`
	cmd := exec.CommandContext(t.Context(), node, "-e", program)
	in, err := json.Marshal(inputs)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var theirs []struct {
		Base64 *[]byte
		Text   string
	}
	if err := json.Unmarshal(out, &theirs); err != nil || len(theirs) != len(inputs) {
		t.Fatalf("%d answers, error %v", len(theirs), err)
	}
	for i, p := range inputs {
		if got := text.Base64(p); theirs[i].Base64 != nil && !bytes.Equal(got, *theirs[i].Base64) {
			t.Errorf("base64 %q is %x, want %x", p, got, *theirs[i].Base64)
		}
		if got := string(text.Valid(p)); got != theirs[i].Text {
			t.Errorf("text %q is %q, want %q", p, got, theirs[i].Text)
		}
	}
}

func FuzzValid(f *testing.F) {
	f.Add([]byte("a\xe2\x82é\xf0\x9f\x98\xed\xa0\xbd"))
	f.Fuzz(func(t *testing.T, p []byte) {
		before := bytes.Clone(p)
		got := text.Valid(p)
		if !bytes.Equal(p, before) {
			t.Fatal("the input was changed")
		}
		if !utf8.Valid(got) || len(got) > 3*len(p) {
			t.Fatalf("%q became %q", p, got)
		}
		// What was valid is there, in order, and nothing else.
		rest := got
		for len(p) > 0 {
			r, size := utf8.DecodeRune(p)
			if r != utf8.RuneError || size > 1 {
				i := bytes.Index(rest, p[:size])
				if i < 0 || strings.Trim(string(rest[:i]), "\ufffd") != "" {
					t.Fatalf("%q became %q", before, got)
				}
				rest = rest[i+size:]
			}
			p = p[size:]
		}
		if strings.Trim(string(rest), "\ufffd") != "" {
			t.Fatalf("%q became %q", before, got)
		}
	})
}

// model is Node's decoder, step by step: characters that count, up to the first equals
// sign; then groups of four, the last of which may be short.
func model(p []byte) []byte {
	p, _, _ = bytes.Cut(p, []byte("="))
	var kept []byte
	for _, c := range p {
		switch {
		case c == '-':
			kept = append(kept, '+')
		case c == '_':
			kept = append(kept, '/')
		case bytes.IndexByte([]byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"), c) >= 0:
			kept = append(kept, c)
		}
	}
	if len(kept)%4 == 1 {
		kept = kept[:len(kept)-1]
	}
	out, err := base64.RawStdEncoding.DecodeString(string(kept))
	if err != nil {
		panic(err)
	}
	return out
}

func FuzzBase64(f *testing.F) {
	for _, s := range []string{"Aw==\n", "Aw oR", "QQ==QQ==", "-_8", "A!A\xffA=", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		if got, want := text.Base64(p), model(p); !bytes.Equal(got, want) {
			t.Fatalf("%q is %x, want %x", p, got, want)
		}
		if got := text.Base64([]byte(base64.StdEncoding.EncodeToString(p))); !bytes.Equal(got, p) {
			t.Fatalf("%x became %x", p, got)
		}
	})
}

func BenchmarkBase64(b *testing.B) {
	clean := []byte(base64.StdEncoding.EncodeToString(make([]byte, 10_000)))
	for name, p := range map[string][]byte{"padded": clean, "in lines": bytes.ReplaceAll(clean, []byte("AAAA"), []byte("AAA\r\nA")), "unpadded": bytes.TrimRight(clean, "=")} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				text.Base64(p)
			}
		})
	}
}
