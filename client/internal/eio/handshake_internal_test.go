package eio

import (
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/payload"
)

// FuzzHandshake: whatever a server says in its open packet, the session lives for a time
// that a timer can do, and its requests have a size or no limit.
func FuzzHandshake(f *testing.F) {
	for _, open := range []string{
		`0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`,
		`0{"sid":"s","pingInterval":1,"pingTimeout":1}`,
		`0{"sid":"s","pingInterval":1e300,"pingTimeout":9223372036854775807,"maxPayload":-1e300}`,
		`0{"sid":"s","pingInterval":1e-300,"pingTimeout":0.5,"maxPayload":1e21}`,
		`0{"sid":"s","pingInterval":"1","pingTimeout":null}`,
		`0{"SID":"s","sid":"t","pingInterval":2147483647,"pingTimeout":2147483648,"maxPayload":4294967296}`,
		`0{"sid":"","pingInterval":1,"pingTimeout":1}`, `0[]`, `0`, `1`, "b", "0" + strings.Repeat("[", 20_000),
	} {
		f.Add([]byte(open))
	}
	f.Fuzz(func(t *testing.T, open []byte) {
		p, err := payload.Decode(open)
		if err != nil {
			return
		}
		h, err := readHandshake(p)
		if err != nil {
			return
		}
		const longest = 2 * maxMillis * time.Millisecond
		if d := h.patience(); h.SID == "" || d < 2*time.Millisecond || d > longest {
			t.Errorf("%q lives for %v", h.SID, d)
		}
		if n := h.maxBody(); n < 0 {
			t.Errorf("a request may have %d bytes", n)
		}
	})
}
