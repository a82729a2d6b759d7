package accept_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/internal/accept"
)

func offers() []string { return []string{"br", "gzip", "deflate"} }

func TestSIO_FS_4_Encoding(t *testing.T) {
	for header, want := range map[string]string{
		"gzip,br,deflate":                        "gzip", // the client's order
		"br":                                     "br",
		"gzip, deflate, br, zstd":                "gzip",
		"gzip;q=0.5, deflate":                    "deflate", // quality before order
		"deflate ; q=0.4 , GZIP ; Q=0.5":         "gzip",
		"gzip;v=1;q=0.1, br;q=0.2":               "br",
		"*":                                      "br", // the order of the offers
		"gzip;q=0, *":                            "br",
		"br;q=0, *":                              "gzip",
		"*, deflate;q=0.1":                       "br",
		"*;q=0.5, deflate;q=0.5":                 "deflate", // a name counts more than "*"
		"gzip;q=0.1, gzip;q=0.9, br;q=0.5":       "gzip",
		"identity;q=0, *":                        "br",
		"identity;q=0":                           "",
		"*;q=0":                                  "",
		"gzip;q=0":                               "",
		"gzip;q=x":                               "",
		"gzip;q=NaN":                             "",
		"gzip;q=-1":                              "",
		"identity":                               "",
		"identity, gzip;q=0.5":                   "",
		"identity, gzip":                         "gzip",
		"identity;q=0.5, *;q=0.1, deflate;q=0.5": "deflate",
		"*;q=0.9, br;q=0, gzip;q=0.5, deflate;q=0": "",
		"x-gzip":  "",
		"":        "",
		", ,;q=1": "",
	} {
		if got := accept.Encoding(http.Header{"Accept-Encoding": {header}}, offers()...); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
	if got := accept.Encoding(nil, offers()...); got != "" {
		t.Errorf("no header: %q", got)
	}
	if got := accept.Encoding(http.Header{"Accept-Encoding": {"gzip;q=0", "deflate"}}, offers()...); got != "deflate" {
		t.Errorf("two lines: %q", got)
	}
	if got := accept.Encoding(http.Header{"Accept-Encoding": {"gzip"}}); got != "" {
		t.Errorf("nothing on offer: %q", got)
	}
}

// What a client gets is on offer, and it said so.
func FuzzEncoding(f *testing.F) {
	for _, header := range []string{"gzip, deflate, br", "*;q=0.5, br;q=0", "identity;q=0,,;", "gzip;q=NaN", "gzip;q=1e999"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := accept.Encoding(http.Header{"Accept-Encoding": {header}}, offers()...)
		if got == "" {
			return
		}
		if !slices.Contains(offers(), got) {
			t.Errorf("%q: %q", header, got)
		}
		if !strings.Contains(strings.ToLower(header), got) && !strings.Contains(header, "*") {
			t.Errorf("%q: %q, which the client did not name", header, got)
		}
	})
}
