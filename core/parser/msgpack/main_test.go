package msgpack_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/core/parser"
	"github.com/sioplug/sioplug/core/parser/msgpack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// limits are those of a server with default options.
var limits = parser.Limits{MaxAttachments: 1e6 / 64, MaxBytes: 1e6}

func decode(p []byte) (*parser.Packet, error) {
	return msgpack.Parser{}.NewDecoder(limits).Decode(parser.Message{Binary: true, Data: p})
}

// encode returns the one message that a packet is.
func encode(tb testing.TB, p *parser.Packet) []byte {
	tb.Helper()
	messages, err := msgpack.Parser{}.Encode(p)
	if err != nil {
		tb.Fatalf("encoding %s: %v", describe(p), err)
	}
	if len(messages) != 1 || !messages[0].Binary {
		tb.Fatalf("%s became %v", describe(p), messages)
	}
	return messages[0].Data
}

// unhex reads hexadecimal digits with spaces between them.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	p, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// describe makes a packet readable.
func describe(p *parser.Packet) string {
	s := fmt.Sprintf("%d %s", p.Type, p.Namespace)
	if p.HasID {
		s += fmt.Sprintf(" id=%d", p.ID)
	}
	if p.Data != nil {
		s += " " + string(p.Data)
	}
	for _, a := range p.Attachments {
		s += fmt.Sprintf(" %x", a)
	}
	return s
}

// ack returns the message of an ack with one value, given as MessagePack.
func ack(tb testing.TB, value string) []byte {
	tb.Helper()
	return unhex(tb, "84 a26964 00 a474797065 03 a464617461 91"+value+" a36e7370 a12f")
}
