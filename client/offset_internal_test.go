package sioclient

import (
	"testing"
	"time"
)

func TestIsOffset_CLI_CSR_1(t *testing.T) {
	now := time.UnixMilli(1795953845123)
	for text, want := range map[string]bool{
		"K3ZQ7A.1f":                true,
		"1795953845123-0":          true,
		"1795953845123-18":         true,
		"507f1f77bcf86cd799439011": true,
		yeast(now):                 true,
		yeast(now) + ".1":          true,
		yeast(now.Add(-time.Hour)): true,

		"":                          false,
		"welcome":                   false,
		"Welcome":                   false,
		"hello you":                 false,
		"2:1":                       false,
		"10-20":                     false,
		"2026-11-29":                false,
		"1795953845123-":            false,
		"1795953845123-a":           false,
		"image.png":                 false,
		"ABCDEF.":                   false,
		"wldH1YkFz8TwRIfoU32u":      false, // the id of a socket
		yeast(now) + ".":            false,
		yeast(now) + "!":            false,
		yeast(now.AddDate(1, 0, 0)): false,
	} {
		if got := isOffset(text, now); got != want {
			t.Errorf("isOffset(%q) = %v", text, got)
		}
	}
}

// yeast is what the package of that name makes of a time.
func yeast(at time.Time) (text string) {
	for n := at.UnixMilli(); n > 0; n /= 64 {
		text = string(base64ID[n%64]) + text
	}
	return text
}
