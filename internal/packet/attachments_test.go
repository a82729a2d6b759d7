package packet_test

import (
	"bytes"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sioplug/sioplug/internal/packet"
)

// receive gives a text message and attachments to a decoder, and requires that
// exactly the last message completes the packet.
func receive(d *packet.Decoder, text string, attachments ...[]byte) (packet.Packet, error) {
	k, complete, err := d.Text([]byte(text))
	for _, a := range attachments {
		if err != nil {
			return k, err
		}
		if complete {
			return k, fmt.Errorf("complete before its attachments: %s", describe(k))
		}
		k, complete, err = d.Binary(a)
	}
	if err == nil && !complete {
		err = fmt.Errorf("not complete after %d attachments", len(attachments))
	}
	return k, err
}

func TestReassemble(t *testing.T) {
	t.Parallel()
	a, b := []byte{1, 2, 3}, []byte{}
	for _, c := range []struct {
		id, in      string
		attachments [][]byte
		want        string
		args        []any
	}{
		{
			"1.3 binary event", `51-["hello",{"_placeholder":true,"num":0}]`,
			[][]byte{a},
			`EVENT / name="hello" 0={"_placeholder":true,"num":0}`,
			[]any{a},
		},
		{
			"1.3 namespace and id", `51-/admin,456["project:delete",{"_placeholder":true,"num":0}]`,
			[][]byte{a},
			`EVENT /admin id=456 name="project:delete" 0={"_placeholder":true,"num":0}`,
			[]any{a},
		},
		{
			"1.3 binary ack", `61-/admin,456[{"_placeholder":true,"num":0}]`,
			[][]byte{a},
			`ACK /admin id=456 0={"_placeholder":true,"num":0}`,
			[]any{a},
		},
		{
			"SIO-BIN-1", `52-["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`,
			[][]byte{a, b},
			`EVENT / name="m" 0={"_placeholder":true,"num":0} 1={"_placeholder":true,"num":1}`,
			[]any{a, b},
		},
		{
			"SIO-BIN-4 other members", `51-["m",{"num":0,"x":[{}],"_placeholder":true}]`,
			[][]byte{a},
			`EVENT / name="m" 0={"num":0,"x":[{}],"_placeholder":true}`,
			[]any{a},
		},
		{
			"SIO-BIN-4 not exactly true", `51-["m",{"_placeholder":1,"num":9},{"_placeholder":false,"num":9},{"_placeholder":true,"num":0}]`,
			[][]byte{a},
			`EVENT / name="m" 0={"_placeholder":1,"num":9} 1={"_placeholder":false,"num":9} 2={"_placeholder":true,"num":0}`,
			[]any{map[string]any{"_placeholder": 1.0, "num": 9.0}, map[string]any{"_placeholder": false, "num": 9.0}, a},
		},
		{
			"SIO-BIN-4 members in a placeholder", `51-["m",{"x":{"_placeholder":false,"num":9},"_placeholder":true,"num":0}]`,
			[][]byte{a},
			`EVENT / name="m" 0={"x":{"_placeholder":false,"num":9},"_placeholder":true,"num":0}`,
			[]any{a},
		},
		{
			"SIO-BIN-4 escaped, last wins", `51-["m",{"\u005fplaceholder":true,"num":9,"n\u0075m":0}]`,
			[][]byte{a},
			`EVENT / name="m" 0={"_placeholder":true,"num":9,"n\u0075m":0}`,
			[]any{a},
		},
		{
			"SIO-BIN-5 whole number", `51-["m",{"_placeholder":true,"num":0.0e1}]`,
			[][]byte{a},
			`EVENT / name="m" 0={"_placeholder":true,"num":0.0e1}`,
			[]any{a},
		},
		{
			"SIO-BIN-6 order", `52-["m",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]`,
			[][]byte{a, b},
			`EVENT / name="m" 0={"_placeholder":true,"num":1} 1={"_placeholder":true,"num":0}`,
			[]any{b, a},
		},
	} {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			got, err := receive(new(packet.Decoder), c.in, c.attachments...)
			if err != nil {
				t.Fatal(err)
			}
			if s := describe(got); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			if diff := cmp.Diff(c.args, mustDecode(t, got.Args)); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

// mustDecode decodes all arguments without types of their own.
func mustDecode(t *testing.T, a packet.Args) []any {
	t.Helper()
	values, err := decodeAll(a)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func decodeAll(a packet.Args) ([]any, error) {
	values, dst := make([]any, a.Len()), make([]any, a.Len())
	for i := range dst {
		dst[i] = &values[i]
	}
	return values, a.Decode(nil, dst...)
}

func TestReassembleErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ id, in string }{
		{"13.15.30", `51-["m",{"_placeholder":true,"num":"splice"}]`},
		{"13.15.31", `51-["m",{"_placeholder":true,"num":1}]`},
		{"SIO-BIN-5 negative", `51-["m",{"_placeholder":true,"num":-1}]`},
		{"SIO-BIN-5 fraction", `51-["m",{"_placeholder":true,"num":0.5}]`},
		{"SIO-BIN-5 huge", `51-["m",{"_placeholder":true,"num":1e999}]`},
		{"SIO-BIN-5 missing", `51-["m",{"_placeholder":true}]`},
		{"SIO-BIN-5 null", `51-["m",{"_placeholder":true,"num":null}]`},
		{"SIO-BIN-5 deep", `51-["m",1,[{"a":[{"num":1,"_placeholder":true}]}]]`},
		{"SIO-BIN-5 behind a good one", `61-[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`},
		{"SIO-BIN-5 last wins", `51-["m",{"_placeholder":true,"num":0,"num":1}]`},
		{"SIO-BIN-6 repeated", `51-["m",[{"_placeholder":true,"num":0}],{"k":{"_placeholder":true,"num":0}}]`},
		{"SIO-BIN-6 repeated, numbers spelled in two ways", `51-["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0.0e9}]`},
		{"SIO-BIN-6 repeated, minus zero", `51-["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":-0}]`},
		{"SIO-BIN-6 repeated, names spelled in two ways", `51-["m",{"_placeholder":true,"num":0},{"_placeh\u006flder":true,"num":0}]`},
		{"SIO-BIN-6 repeated in one name", `51-["m",{"k":{"_placeholder":true,"num":0},"k":{"_placeholder":true,"num":0}}]`},
		{"SIO-BIN-6 repeated inside of a placeholder", `51-["m",{"x":[{"_placeholder":true,"num":0}],"_placeholder":true,"num":0}]`},
		{"SIO-BIN-6 not used", `51-["m",{"_placeholder":false,"num":0}]`},
		{"SIO-BIN-6 not used in an ack", `61-7[]`},
		{"SIO-BIN-6 an ack without data", `61-`},
	} {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			_, err := receive(new(packet.Decoder), c.in, []byte{1})
			if err == nil || err.Error() != "illegal attachments" {
				t.Errorf("error %v, want illegal attachments", err)
			}
		})
	}
}

func TestDecoderStates(t *testing.T) {
	t.Parallel()
	const header = `51-["m",{"_placeholder":true,"num":0}]`
	t.Run("SIO-BIN-2 13.15.33", func(t *testing.T) {
		t.Parallel()
		var d packet.Decoder
		mustText(t, &d, header, false)
		_, _, err := d.Text([]byte(`2["x"]`))
		if err == nil || err.Error() != "got plaintext data when reconstructing a packet" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("SIO-BIN-3 13.15.32", func(t *testing.T) {
		t.Parallel()
		var d packet.Decoder
		_, _, err := d.Binary([]byte{1})
		if err == nil || err.Error() != "got binary data when not reconstructing a packet" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("SIO-BIN-3 one too many", func(t *testing.T) {
		t.Parallel()
		var d packet.Decoder
		if _, err := receive(&d, header, []byte{1}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.Binary([]byte{2}); err != packet.ErrUnexpectedBinary {
			t.Errorf("error %v", err)
		}
	})
	t.Run("SIO-BIN-9 13.15.19", func(t *testing.T) {
		t.Parallel()
		var d packet.Decoder
		mustText(t, &d, header, false)
		d.Reset()
		mustText(t, &d, `2["x"]`, true)
		if _, err := receive(&d, header, []byte{1}); err != nil {
			t.Errorf("after Reset: %v", err)
		}
	})
}

func mustText(t *testing.T, d *packet.Decoder, text string, complete bool) {
	t.Helper()
	if _, got, err := d.Text([]byte(text)); err != nil || got != complete {
		t.Fatalf("%s: complete %t, error %v", text, got, err)
	}
}

func TestSIO_BIN_7_ENC_10_MaxAttachments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ set, limit int }{
		{0, packet.DefaultMaxAttachments}, {1, 1}, {2, 2}, {100, 100}, {-1, 0}, {math.MaxInt, math.MaxInt32},
	} {
		d := packet.Decoder{MaxAttachments: c.set}
		if n := min(c.limit, 1000); n > 0 {
			mustText(t, &d, header(n), false)
			d.Reset()
		}
		_, _, err := d.Text(fmt.Appendf(nil, `5%d-["m"]`, int64(c.limit)+1)) // 13.15.12
		if err == nil || err.Error() != "too many attachments" {
			t.Errorf("limit %d: error %v", c.limit, err)
		}
	}
}

// header returns the text of an event with n attachments.
func header(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `5%d-["m"`, n)
	for i := range n {
		fmt.Fprintf(&b, `,{"_placeholder":true,"num":%d}`, i)
	}
	return b.String() + "]"
}

func TestMaxBytes(t *testing.T) {
	t.Parallel()
	header := header(2)
	d := packet.Decoder{MaxBytes: 10}
	if _, err := receive(&d, header, make([]byte, 4), make([]byte, 6)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := receive(&d, header, make([]byte, 4), make([]byte, 7)); err != packet.ErrAttachmentBytes {
		t.Errorf("past the limit: %v", err)
	}
	if _, err := receive(&d, header, make([]byte, 10), nil); err != nil {
		t.Errorf("the next packet: %v", err)
	}
}

// One packet of 0.93 MB named one attachment a thousand times, and a handler that sent
// the value on made 900 MB of it, for everybody. Each attachment has one placeholder;
// the packet is refused before its attachments are waited for.
func TestSIO_BIN_6_PlaceholderBomb(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"a thousand times the same":   `51-["m",[` + strings.Repeat(`{"_placeholder":true,"num":0},`, 999) + `{"_placeholder":true,"num":0}]]`,
		"the same as the last of 100": strings.TrimSuffix(header(100), "]") + `,{"_placeholder":true,"num":99}]`,
		"all but the last of 100":     strings.Replace(header(100), `"num":99`, `"num":98`, 1),
	} {
		d := packet.Decoder{MaxAttachments: 1000}
		if _, complete, err := d.Text([]byte(in)); err != packet.ErrPlaceholder || complete {
			t.Errorf("%s: complete %t, error %v", name, complete, err)
		}
		if _, _, err := d.Binary([]byte{1}); err != packet.ErrUnexpectedBinary {
			t.Errorf("%s: it waits for attachments: %v", name, err)
		}
	}
	d := packet.Decoder{MaxAttachments: 1000}
	mustText(t, &d, header(1000), false)
}

// A number of attachments is only the peer's word: it costs nothing.
func TestTheNumberOfAttachmentsAllocatesNothing(t *testing.T) { //nolint:paralleltest // it counts what the whole process allocates
	d := packet.Decoder{MaxAttachments: math.MaxInt}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := d.Text([]byte(`52000000000-["m",{"_placeholder":true,"num":0}]`))
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err != packet.ErrPlaceholder || n > 1<<16 {
		t.Errorf("error %v, %d bytes", err, n)
	}
}

func TestAttachmentsOwnTheirMemory(t *testing.T) {
	t.Parallel()
	buf := []byte{1, 2, 3}
	k, err := receive(new(packet.Decoder), `51-["m",{"_placeholder":true,"num":0}]`, buf)
	if err != nil {
		t.Fatal(err)
	}
	clear(buf)
	var got []byte
	if err := k.Args.Decode(nil, &got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, []byte{1, 2, 3}) {
		t.Errorf("attachment changed to %v", got)
	}
}
