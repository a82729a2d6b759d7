package sioclient

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"sync"
	"time"
)

// What a server can have the client keep. Browsers keep as much for a site.
const (
	maxCookies    = 150
	maxCookieSize = 4096 // bytes of the name and the value
)

// A boundedJar is a jar with limits, which the one of package cookiejar does not have. A
// cookie beyond them is ignored.
type boundedJar struct {
	jar *cookiejar.Jar

	mu   sync.Mutex
	kept map[cookieKey]bool
}

// A cookieKey is what makes a cookie another one.
type cookieKey struct{ host, domain, path, name string }

func newJar() http.CookieJar {
	jar, _ := cookiejar.New(nil) // it never fails
	return &boundedJar{jar: jar, kept: make(map[cookieKey]bool)}
}

// Cookies implements [http.CookieJar].
func (b *boundedJar) Cookies(u *url.URL) []*http.Cookie { return b.jar.Cookies(u) }

// SetCookies implements [http.CookieJar].
func (b *boundedJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var set []*http.Cookie
	for _, c := range cookies {
		key := cookieKey{u.Host, c.Domain, c.Path, c.Name}
		ended := c.MaxAge < 0 || !c.Expires.IsZero() && c.MaxAge == 0 && c.Expires.Before(time.Now())
		switch {
		case ended:
			delete(b.kept, key)
		case len(c.Name)+len(c.Value) > maxCookieSize, len(c.Domain)+len(c.Path) > maxCookieSize:
			continue
		case !b.kept[key] && len(b.kept) >= maxCookies:
			continue
		default:
			b.kept[key] = true
		}
		set = append(set, c)
	}
	b.jar.SetCookies(u, set)
}
