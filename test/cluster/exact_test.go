package cluster_test

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// An exact value is the same after it has travelled between servers in Go. In JavaScript,
// it would not be.
type exact struct {
	Large    int64
	Unsigned uint64
	Negative int64
	Float    float64
	Time     time.Time
	Bytes    []byte
	Deep     map[string][][]byte
	Raw      json.RawMessage
	Text     string
}

func newExact() exact {
	return exact{
		Large: 1<<53 + 1, Unsigned: math.MaxUint64, Negative: math.MinInt64, Float: math.MaxFloat64,
		Time:  time.Date(2026, 11, 29, 1, 2, 3, 456_789_012, time.FixedZone("", 3600)),
		Bytes: []byte{0, 0xff, '{'}, Deep: map[string][][]byte{"a": {{1}, {}, []byte("text")}},
		Raw: json.RawMessage(`{"n":1234567890.125,"m":[0.1,null]}`), Text: "é\u2028\x00\U0001F600",
	}
}

func (e exact) String() string {
	return fmt.Sprintf("%d %d %d %v %v %x %x %s %q", e.Large, e.Unsigned, e.Negative, e.Float, e.Time, e.Bytes, e.Deep, e.Raw, e.Text)
}

// exactly is the key of exact values that a server in Go sends to its clients.
func exactly(server string) string { return "exactly " + server }

// testExact sends exact values from one server in Go to another one.
func (c *cluster) testExact(t *testing.T, from, to *goServer) {
	want := newExact()
	t.Run("exact values in broadcasts", func(t *testing.T) {
		cl := c.clients[to.name()+"1"]
		position := c.diary.length(exactly(to.id))
		if err := from.spaces["/"].To(cl.id).Emit("exact", want); err != nil {
			t.Fatal(err)
		}
		c.diary.until(t, exactly(to.id), position, want.String())
		c.mark(t, from)
	})
	t.Run("exact values in server-side events", func(t *testing.T) {
		got := 0
		for answer := range sio.ServerSideEmitWithAck[exact](t.Context(), from.spaces["/"], "exact", want) {
			if answer.Err == nil && answer.Value.String() == want.String() {
				got++
				break // Node.js has no handler for it
			}
			t.Errorf("%v (%v)", answer.Value, answer.Err)
		}
		if got != 1 {
			t.Errorf("%d answers are right", got)
		}
	})
}
