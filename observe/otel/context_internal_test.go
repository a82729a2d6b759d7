package siotel

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzContext decodes what clients send as the last argument. What is taken for a context has
// nothing of the application's in it.
func FuzzContext(f *testing.F) {
	const valid = `{"traceContext":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"`
	for _, seed := range []string{valid + `}}`, valid + `,"tracestate":"a=1,b=2"}}`, valid + `},"a":1}`, `{"traceContext":null}`, `{"traceContext" : {}}`, `{"traceContext":{}}x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, found := decodeContext(raw)
		if !found {
			return
		}
		var members map[string]map[string]any
		if err := json.Unmarshal(raw, &members); err != nil || len(members) != 1 || members["traceContext"] == nil {
			t.Fatalf("%s was taken for a context: %v", raw, err)
		}
		if sc := c.spanContext(); sc.IsValid() {
			parent := "00-" + sc.TraceID().String() + "-" + sc.SpanID().String()
			if !sc.IsRemote() || !strings.HasPrefix(c.Traceparent[2:], parent[2:]) || len(sc.TraceState().String()) > maxTracestate {
				t.Fatalf("%s: %v", raw, sc)
			}
		}
	})
}
