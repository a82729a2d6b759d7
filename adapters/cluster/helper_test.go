package cluster_test

import (
	"bytes"
	"encoding/json"
	"testing"
)

// mustJSON returns JSON without escapes for HTML.
func mustJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}
