package engine_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/core/internal/enginetest"
)

func TestCookie(t *testing.T) {
	for _, c := range []struct {
		name   string
		cookie *engine.Cookie
		want   string
	}{
		{"EIO-CK-1 none", nil, ""},
		{"EIO-CK-2 zero", &engine.Cookie{}, "io=SID; Path=/; HttpOnly; SameSite=Lax"},
		{"EIO-CK-3 name", &engine.Cookie{Name: "woot"}, "woot=SID; Path=/; HttpOnly; SameSite=Lax"},
		{"EIO-CK-4 path", &engine.Cookie{Path: "/custom"}, "io=SID; Path=/custom; HttpOnly; SameSite=Lax"},
		{"EIO-CK-5 no path", &engine.Cookie{NoPath: true}, "io=SID; HttpOnly; SameSite=Lax"},
		{"EIO-CK-6 strict", &engine.Cookie{SameSite: http.SameSiteStrictMode}, "io=SID; Path=/; HttpOnly; SameSite=Strict"},
		{"EIO-CK-7 for scripts", &engine.Cookie{Scriptable: true}, "io=SID; Path=/; SameSite=Lax"},
		{
			"EIO-CK-8 none", &engine.Cookie{SameSite: http.SameSiteNoneMode, Secure: true},
			"io=SID; Path=/; HttpOnly; Secure; SameSite=None",
		},
		{"EIO-CK-8 no SameSite", &engine.Cookie{SameSite: http.SameSiteDefaultMode}, "io=SID; Path=/; HttpOnly"},
		{"EIO-CK-8 everything", &engine.Cookie{
			Name: "n", Domain: "a.com", MaxAge: time.Minute, Secure: true, Partitioned: true, Priority: "High",
			Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), Encode: strings.ToUpper,
		}, "n=SID; Max-Age=60; Domain=a.com; Path=/; Expires=Wed, 02 Jan 2030 02:04:05 GMT; HttpOnly; " +
			"Secure; Partitioned; Priority=High; SameSite=Lax"},
		{"EIO-CK-8 gone at once", &engine.Cookie{MaxAge: -1}, "io=SID; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"},
	} {
		inBubble(t, c.name, engine.Options{Cookie: c.cookie}, func(t *testing.T, k *enginetest.Kit) {
			a := k.Do(enginetest.Request{Query: polling})
			sid := a.Body[len(`0{"sid":"`):][:20]
			if c.cookie != nil && c.cookie.Encode != nil {
				sid = c.cookie.Encode(sid)
			}
			same(t, "cookie", strings.Join(a.Header["Set-Cookie"], "|"), strings.Replace(c.want, "SID", sid, 1))
		})
	}
	inBubble(t, "EIO-CK-9 for the polling handshake alone", engine.Options{Cookie: &engine.Cookie{}}, func(t *testing.T, k *enginetest.Kit) {
		p := k.OpenPolling()
		p.Send("a")
		same(t, "poll", len(p.Poll().Wait().Header["Set-Cookie"]), 0)
		a := k.Do(enginetest.Request{Method: http.MethodPost, Query: p.Query(), Body: strings.NewReader("4b")})
		same(t, "POST", a.String(), "200 ok")
		same(t, "POST", len(a.Header["Set-Cookie"]), 0)
		same(t, "upgrade", len(p.Upgrade().Head.Header["Set-Cookie"]), 0)
		same(t, "websocket", len(k.Dial(websocket).Head.Header["Set-Cookie"]), 0)
		same(t, "error", len(k.Do(enginetest.Request{}).Header["Set-Cookie"]), 0)
	})
	inBubble(t, "EIO-CK-8 encoded", engine.Options{
		Cookie: &engine.Cookie{}, GenerateID: func(*engine.Request) (string, error) { return "a;b/c+d", nil },
	}, func(t *testing.T, k *enginetest.Kit) {
		a := k.Do(enginetest.Request{Query: polling})
		same(t, "cookie", a.Header.Get("Set-Cookie"), "io=a%3Bb%2Fc%2Bd; Path=/; HttpOnly; SameSite=Lax")
	})
}

func TestCookieMistakes(t *testing.T) {
	for _, c := range []engine.Cookie{
		{Name: "a b"},
		{Name: "a=b"},
		{Path: "/;x"},
		{Domain: "a\nb"},
		{Priority: "High; x"},
		{SameSite: http.SameSiteNoneMode},
	} {
		if err := (&engine.Options{Cookie: &c}).Validate(); err == nil {
			t.Errorf("%+v is not found to be wrong", c)
		}
	}
}
