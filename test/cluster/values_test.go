package cluster_test

import (
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"
)

// Values of arguments that JSON does not have. node/values.js knows their notation.
type (
	blob      []byte // binary data
	date      int64  // a point in time, in milliseconds
	undefined struct{}
	nan       struct{}
)

// MarshalJSON implements [json.Marshaler].
func (b blob) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"$bin": hex.EncodeToString(b)})
}

// MarshalJSON implements [json.Marshaler].
func (d date) MarshalJSON() ([]byte, error) { return json.Marshal(map[string]int64{"$date": int64(d)}) }

// MarshalJSON implements [json.Marshaler].
func (undefined) MarshalJSON() ([]byte, error) { return []byte(`{"$undefined":true}`), nil }

// MarshalJSON implements [json.Marshaler].
func (nan) MarshalJSON() ([]byte, error) { return []byte(`{"$nan":true}`), nil }

// forGo returns a value as an application in Go has it.
func forGo(v any) any {
	switch v := v.(type) {
	case blob:
		return []byte(v)
	case date:
		return time.UnixMilli(int64(v)).UTC()
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = forGo(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key := range v {
			m[key] = forGo(v[key])
		}
		return m
	default:
		return v
	}
}

// fromGo returns a value that an application in Go got, in the notation of node/values.js.
func fromGo(v any) any {
	switch v := v.(type) {
	case []byte:
		return blob(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = fromGo(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key := range v {
			m[key] = fromGo(v[key])
		}
		return m
	default:
		return v
	}
}

// canonical returns a value as JSON that can be compared.
func canonical(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return canonicalJSON(t, data)
}

func canonicalJSON(t testing.TB, data []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
