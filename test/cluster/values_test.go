package cluster_test

import (
	"encoding/hex"
	"encoding/json"
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

// canonical returns a value as JSON that can be compared. If it has none, it returns the
// error's text, which is equal to no JSON.
func canonical(v any) string {
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err == nil {
		data, err = json.Marshal(v)
	}
	if err != nil {
		return err.Error()
	}
	return string(data)
}
