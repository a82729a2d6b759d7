package engine_test

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

// corsOf returns the headers of CORS, one a line, without what their names have
// in common.
func corsOf(h http.Header) string {
	var lines []string
	for k, vs := range h {
		name, found := strings.CutPrefix(k, "Access-Control-")
		if found || k == "Vary" {
			lines = append(lines, name+": "+strings.Join(vs, " | "))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func lines(s ...string) string {
	slices.Sort(s)
	return strings.Join(s, "\n")
}

func asks(err error, allow bool) func(*engine.Request, string) (bool, error) {
	return func(*engine.Request, string) (bool, error) { return allow, err }
}

// The origin of all requests here is http://a.com.
func TestCORSRequests(t *testing.T) {
	const reflected = "Allow-Origin: http://a.com"
	for _, c := range []struct {
		name   string
		cors   *engine.CORS
		status int
		want   string
	}{
		{"EIO-CO-2 none", nil, 200, ""},
		{"EIO-CO-2 all", &engine.CORS{InsecureAllowAllOrigins: true}, 200, "Allow-Origin: *"},
		{
			"EIO-CO-2 all, with credentials",
			&engine.CORS{InsecureAllowAllOrigins: true, Credentials: true},
			200, lines(reflected, "Vary: Origin", "Allow-Credentials: true"),
		},
		{"EIO-CO-1 fixed", &engine.CORS{Origins: []string{"http://a.com"}}, 200, lines(reflected, "Vary: Origin")},
		{
			"EIO-CO-1, EIO-CO-4 another fixed origin",
			&engine.CORS{Origins: []string{"http://b.com"}},
			200, lines("Allow-Origin: http://b.com", "Vary: Origin"),
		},
		{
			"EIO-CO-3 list that matches",
			&engine.CORS{Origins: []string{"http://b.com", "http://A.com"}},
			200, lines(reflected, "Vary: Origin"),
		},
		{
			"EIO-CO-3, EIO-CO-4 list that does not match",
			&engine.CORS{Origins: []string{"http://b.com", "http://c.com"}},
			200, "Vary: Origin",
		},
		{"EIO-CO-3 zero: no other origin", &engine.CORS{}, 200, "Vary: Origin"},
		{
			"EIO-CO-3 pattern that matches",
			&engine.CORS{OriginPatterns: []*regexp.Regexp{regexp.MustCompile(`^http://[a-z]\.com$`)}},
			200, lines(reflected, "Vary: Origin"),
		},
		{
			"EIO-CO-3 pattern that does not match",
			&engine.CORS{OriginPatterns: []*regexp.Regexp{regexp.MustCompile(`^https://`)}},
			200, "Vary: Origin",
		},
		{"EIO-CO-3 function says yes", &engine.CORS{AllowOrigin: asks(nil, true)}, 200, lines(reflected, "Vary: Origin")},
		{"EIO-CO-3 function says no", &engine.CORS{AllowOrigin: asks(nil, false)}, 200, ""},
		{"EIO-CO-6", &engine.CORS{
			Origins: []string{"http://a.com"}, Credentials: true, ExposedHeaders: []string{"e", "f"},
			Methods: []string{"GET"}, AllowedHeaders: []string{"x"}, MaxAge: time.Second,
		}, 200, lines(reflected, "Vary: Origin", "Allow-Credentials: true", "Expose-Headers: e,f")},
	} {
		inBubble(t, c.name, engine.Options{CORS: c.cors}, func(t *testing.T, k *enginetest.Kit) {
			a := k.Do(enginetest.Request{Query: polling, Header: http.Header{"Origin": {"http://a.com"}}})
			same(t, "status", a.Status, c.status)
			same(t, "headers", corsOf(a.Header), c.want)
			same(t, "sessions", k.Remembered(), 1)
			a = k.Do(enginetest.Request{Query: "transport=x", Header: http.Header{"Origin": {"http://a.com"}}})
			same(t, "EIO-ER-2 status of an error", a.String(), unknownTransport)
			same(t, "EIO-ER-2 headers of an error", corsOf(a.Header), c.want)
			blocked(t, k, c.want, "http://a.com")
		})
	}
	inBubble(t, "EIO-CO-3 function fails", engine.Options{
		CORS: &engine.CORS{AllowOrigin: asks(errors.New("database down"), true)},
	}, func(t *testing.T, k *enginetest.Kit) {
		a := k.Do(enginetest.Request{Query: polling, Header: http.Header{"Origin": {"http://a.com"}}})
		same(t, "answer", a.String(), badRequest)
		same(t, "headers", corsOf(a.Header), "")
		loud(t, k, "database down")
		same(t, "without an origin", k.Do(enginetest.Request{Query: polling}).Status, 200)
	})
	inBubble(t, "without an origin", engine.Options{
		CORS: &engine.CORS{InsecureAllowAllOrigins: true, Credentials: true},
	}, func(t *testing.T, k *enginetest.Kit) {
		a := k.Do(enginetest.Request{Query: polling})
		same(t, "headers", corsOf(a.Header), lines("Vary: Origin", "Allow-Credentials: true"))
	})
	inBubble(t, "EIO-VF-2 an illegal origin is not reflected", engine.Options{
		CORS: &engine.CORS{InsecureAllowAllOrigins: true, Credentials: true},
	}, func(t *testing.T, k *enginetest.Kit) {
		a := k.Do(enginetest.Request{Query: polling, Header: http.Header{"Origin": {"http://a\nb"}}})
		same(t, "answer", a.String(), badRequest)
		same(t, "origin", a.Header.Get("Access-Control-Allow-Origin"), "")
	})
}

// blocked fails unless the server logged that a browser keeps answers from the page of
// that origin, if they have such headers.
func blocked(t *testing.T, k *enginetest.Kit, headers, page string) {
	t.Helper()
	if strings.Contains(headers, "Allow-Origin: "+page) || strings.Contains(headers, "Allow-Origin: *") {
		return // otherwise the end of the test looks that nothing was logged
	}
	loud(t, k, "its browser keeps the answers from it")
}

// loud fails unless the server logged one line, which has the text.
func loud(t *testing.T, k *enginetest.Kit, text string) {
	t.Helper()
	if got := k.Log.Loud(); len(got) != 1 || !strings.Contains(got[0], text) {
		t.Errorf("logged %q, want one line with %q", got, text)
	}
}

// Preflights ask for the headers x-foo and y.
func TestCORSPreflight(t *testing.T) {
	const (
		methods = "Allow-Methods: GET,HEAD,PUT,PATCH,POST,DELETE"
		asked   = "Allow-Headers: x-foo, y"
	)
	for _, c := range []struct {
		name   string
		cors   *engine.CORS
		answer string
		want   string
	}{
		{
			"EIO-CO-5 all", &engine.CORS{InsecureAllowAllOrigins: true},
			"204", lines("Allow-Origin: *", methods, asked, "Vary: Access-Control-Request-Headers"),
		},
		{
			"EIO-CO-5 all, with credentials", &engine.CORS{InsecureAllowAllOrigins: true, Credentials: true},
			"204", lines("Allow-Origin: http://a.com", "Vary: Origin, Access-Control-Request-Headers",
				"Allow-Credentials: true", methods, asked),
		},
		{
			"EIO-CO-5, EIO-CO-9 everything set", &engine.CORS{
				Origins: []string{"http://a.com"}, Methods: []string{"GET", "POST"},
				AllowedHeaders: []string{"a", "b"}, ExposedHeaders: []string{"e"}, MaxAge: 5 * time.Second,
			},
			"204", lines("Allow-Origin: http://a.com", "Vary: Origin", "Allow-Methods: GET,POST",
				"Allow-Headers: a,b", "Max-Age: 5", "Expose-Headers: e"),
		},
		{
			"EIO-CO-4 no match", &engine.CORS{Origins: []string{"http://b.com", "http://c.com"}, MaxAge: -1},
			"204", lines("Vary: Origin, Access-Control-Request-Headers", methods, asked, "Max-Age: 0"),
		},
		{
			"EIO-CO-7 another status", &engine.CORS{Origins: []string{"http://a.com"}, OptionsSuccessStatus: 200},
			"200", lines("Allow-Origin: http://a.com", "Vary: Origin, Access-Control-Request-Headers", methods, asked),
		},
		{
			"EIO-CO-7 preflights go on", &engine.CORS{Origins: []string{"http://a.com"}, PreflightContinue: true},
			badMethod, lines("Allow-Origin: http://a.com", "Vary: Origin, Access-Control-Request-Headers", methods, asked),
		},
		{"EIO-CO-3 function says no", &engine.CORS{AllowOrigin: asks(nil, false)}, badMethod, ""},
		{"EIO-MT-1, EIO-MT-3 no CORS", nil, badMethod, ""},
	} {
		opts := engine.Options{CORS: c.cors, OnHeaders: func(http.Header, *engine.Request) { t.Error("OnHeaders was called") }}
		inBubble(t, c.name, opts, func(t *testing.T, k *enginetest.Kit) {
			a := k.Do(enginetest.Request{Method: http.MethodOptions, Query: polling, Header: http.Header{
				"Origin": {"http://a.com"}, "Access-Control-Request-Headers": {"x-foo, y"},
			}})
			same(t, "answer", a.String(), c.answer)
			same(t, "headers", corsOf(a.Header), c.want)
			same(t, "sessions", k.Remembered(), 0)
			blocked(t, k, c.want, "http://a.com")
		})
	}
	inBubble(t, "EIO-MT-3 comes before verification", engine.Options{CORS: &engine.CORS{}}, func(t *testing.T, k *enginetest.Kit) {
		same(t, "answer", k.Do(enginetest.Request{Method: http.MethodOptions, Query: "transport=x&sid=y"}).String(), "204")
	})
}

func TestCORSWebSocket(t *testing.T) {
	cors := &engine.CORS{Origins: []string{"http://a.com"}, Credentials: true}
	inBubble(t, "EIO-CO-8", engine.Options{CORS: cors}, func(t *testing.T, k *enginetest.Kit) {
		h := enginetest.Handshake()
		h.Set("Origin", "http://a.com")
		want := lines("Allow-Origin: http://a.com", "Vary: Origin", "Allow-Credentials: true")
		same(t, "101", corsOf(k.DialRequest(enginetest.Request{Query: websocket, Header: h}).Head.Header), want)
		a := k.Do(enginetest.Request{Query: "transport=x", Header: h})
		same(t, "refused", a.String(), "400 Transport unknown")
		same(t, "its headers", corsOf(a.Header), want)
	})
}

func TestCORSMistakes(t *testing.T) {
	for _, c := range []struct {
		name string
		cors engine.CORS
		want string // "" for none
	}{
		{"fine", engine.CORS{Origins: []string{"https://a.com", "http://[::1]:3000", "capacitor://localhost", "null"}}, ""},
		{"any", engine.CORS{Origins: []string{"*"}}, "InsecureAllowAllOrigins"},
		{"slash", engine.CORS{Origins: []string{"https://a.com/"}}, "nothing else"},
		{"wildcard", engine.CORS{Origins: []string{"https://*.a.com"}}, "OriginPatterns"},
		{"no scheme", engine.CORS{Origins: []string{"a.com"}}, "a scheme and a host"},
		{"default port", engine.CORS{Origins: []string{"https://a.com:443"}}, "leave the port 443 out"},
		{"header", engine.CORS{AllowedHeaders: []string{"a b"}}, "AllowedHeaders"},
		{"status", engine.CORS{OptionsSuccessStatus: 301}, "OptionsSuccessStatus"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := (&engine.Options{CORS: &c.cors}).Validate()
			if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
