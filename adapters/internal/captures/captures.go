// Package captures has what the official adapters for Redis and PostgreSQL and their emitters
// published, byte for byte, and compares it with packets, for tests. Commands of Redis that
// publish nothing are not included: SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and their opposites,
// PUBSUB, XREAD, XRANGE, and those about sessions, which are MULTI, EXEC, GET, DEL and SET.
package captures

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/tinylib/msgp/msgp"
)

//go:embed testdata/cluster.jsonl
var rows []byte

// A Row is one command that was captured.
type Row struct {
	ID        string
	Adapter   string
	Operation string   // what the application called
	Command   string   // PUBLISH, SPUBLISH, XADD or NOTIFY; "" for a row of the table of PostgreSQL
	Channel   string   // or the name of the stream
	Args      []string // of XADD, without the data
	Hex       string   // the message or the data, if it is binary
	Text      string   // otherwise
	Decoded   any      // what that means
}

// Rows returns the rows of those adapters.
func Rows(tb testing.TB, adapters ...string) []Row {
	tb.Helper()
	var list []Row
	for line := range bytes.Lines(rows) {
		var r Row
		if err := json.Unmarshal(line, &r); err != nil {
			tb.Fatal(err)
		}
		if slices.Contains(adapters, r.Adapter) {
			if r.Decoded == nil {
				r.Decoded = FromJSON(tb, []byte(r.Text))
			}
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		tb.Fatalf("no rows of %q", adapters)
	}
	return list
}

// Bytes returns the message. The data of an entry in a stream may be in base64 there.
func (r *Row) Bytes(tb testing.TB) []byte {
	tb.Helper()
	switch {
	case r.Hex != "":
		b, err := hex.DecodeString(r.Hex)
		if err != nil {
			tb.Fatal(err)
		}
		return b
	case r.Command == "XADD" && r.Text[0] != '{':
		b, err := base64.StdEncoding.DecodeString(r.Text)
		if err != nil {
			tb.Fatal(err)
		}
		return b
	default:
		return []byte(r.Text)
	}
}

// Field returns a field of an entry in a stream.
func (r *Row) Field(name string) string {
	i := slices.Index(r.Args, name)
	if i < 0 {
		return ""
	}
	return r.Args[i+1]
}

// Number returns such a field that is a number.
func (r *Row) Number(tb testing.TB, name string) int {
	tb.Helper()
	n, err := strconv.Atoi(r.Field(name))
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// FromJSON returns what JSON means.
func FromJSON(tb testing.TB, data []byte) any {
	tb.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		tb.Fatalf("%s: %v", data, err)
	}
	return v
}

// FromMessagePack returns what MessagePack means, in the form of [Row.Decoded].
func FromMessagePack(tb testing.TB, data []byte) any {
	tb.Helper()
	v, rest, err := msgp.ReadIntfBytes(data)
	if err != nil || len(rest) > 0 {
		tb.Fatalf("%x: %v, %d bytes left", data, err, len(rest))
	}
	return plain(v)
}

// plain returns a value with the types of encoding/json.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case []byte:
		return Binary(v)
	}
	return v
}

// Binary returns how a row writes a binary value.
func Binary(b []byte) string { return fmt.Sprintf("<bin %x>", b) }

// Value returns what JSON with attachments means.
func Value(tb testing.TB, data []byte, attachments [][]byte) any {
	tb.Helper()
	return attach(FromJSON(tb, data), attachments)
}

func attach(v any, attachments [][]byte) any {
	switch v := v.(type) {
	case map[string]any:
		if n, ok := v["num"].(float64); ok && v["_placeholder"] == true && int(n) < len(attachments) {
			return Binary(attachments[int(n)])
		}
		for k := range v {
			v[k] = attach(v[k], attachments)
		}
	case []any:
		for i := range v {
			v[i] = attach(v[i], attachments)
		}
	}
	return v
}

// Normal returns what a row means to servers of this module: names of rooms are strings,
// some flags do not count, and what JSON cannot have is null. The packet of a broadcast
// has no namespace, because the message has it.
func Normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, member := range v {
			switch k {
			case "rooms", "except":
				out[k] = names(member)
			case "flags":
				out[k] = flags(member)
			default:
				out[k] = Normal(member)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = Normal(v[i])
		}
		return out
	case string:
		if v == "<NaN>" || v == "<Infinity>" || v == "<undefined>" {
			return nil
		}
	}
	return v
}

func names(v any) any {
	list, _ := v.([]any)
	out := make([]any, len(list))
	for i, name := range list {
		out[i] = fmt.Sprint(name)
	}
	return out
}

func flags(v any) any {
	out := make(map[string]any)
	m, _ := v.(map[string]any)
	for k := range m {
		if k == "volatile" || k == "compress" || k == "timeout" {
			out[k] = m[k]
		}
	}
	return out
}
