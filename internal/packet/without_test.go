package packet_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sioplug/sioplug/internal/packet"
)

func TestWithout(t *testing.T) {
	t.Parallel()
	for _, list := range []string{`[1]`, `[ 1 ]`, `[1,"a,b"]`, `[ {"a":[1,2]} , "x" , [ ] ]`, "[1\t,\n2 ,3\r\n]"} {
		var want []json.RawMessage
		if err := json.Unmarshal([]byte(list), &want); err != nil {
			t.Fatal(err)
		}
		args, err := packet.NewArgs(packet.Ack, []byte(list), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			rest := args.Without(i)
			got := make([]json.RawMessage, 0, rest.Len())
			for _, raw := range rest.All() {
				got = append(got, raw)
			}
			if left := slices.Delete(slices.Clone(want), i, i+1); fmt.Sprintf("%s", got) != fmt.Sprintf("%s", left) {
				t.Errorf("%s without %d: %s, want %s", list, i, got, left)
			}
			if !json.Valid(rest.AppendData(nil)) {
				t.Errorf("%s without %d: %s", list, i, rest.AppendData(nil))
			}
			var at json.RawMessage
			if err := args.At(i).Decode(nil, &at); err != nil || string(at) != string(want[i]) {
				t.Errorf("%s at %d: %s, %v", list, i, at, err)
			}
		}
		for _, i := range []int{-1, len(want)} {
			if err := args.At(i).Decode(nil, new(any)); !errors.Is(err, packet.ErrMissingArgument) {
				t.Errorf("%s at %d: %v", list, i, err)
			}
		}
	}
}

// Placeholders of the other values stand for the same attachments as before.
func TestWithoutKeepsAttachments(t *testing.T) {
	t.Parallel()
	data := []byte(`[{"_placeholder":true,"num":0},"x",{"_placeholder":true,"num":1}]`)
	args, err := packet.NewArgs(packet.Ack, data, [][]byte{[]byte("zero"), []byte("one")})
	if err != nil {
		t.Fatal(err)
	}
	var a, b []byte
	if err := args.Without(1).Decode(nil, &a, &b); err != nil || string(a) != "zero" || string(b) != "one" {
		t.Errorf("%q, %q, %v", a, b, err)
	}
	if err := args.At(2).Decode(nil, &b); err != nil || string(b) != "one" {
		t.Errorf("%q, %v", b, err)
	}
	if err := args.Without(0).Decode(nil, nil, &b); err != nil || string(b) != "one" {
		t.Errorf("%q, %v", b, err)
	}
	if err := args.Without(2).Decode(nil, &a, nil); err != nil || string(a) != "zero" {
		t.Errorf("%q, %v", a, err)
	}
}
