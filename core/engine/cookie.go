package engine

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A Cookie is set by the answer to a polling handshake. Its value is the session id.
// Some load balancers use it to send all requests of a client to the same server. The
// zero Cookie is
//
//	io=<id>; Path=/; HttpOnly; SameSite=Lax
type Cookie struct {
	Name string // "io" by default

	Path   string // "/" by default
	NoPath bool   // leaves Path out, so that the path of the request counts

	Domain  string
	Expires time.Time
	MaxAge  time.Duration // in whole seconds; less than 0 means at once

	// Scriptable leaves HttpOnly out, so that scripts can read the cookie.
	Scriptable bool

	Secure      bool
	Partitioned bool
	Priority    string // "Low", "Medium" or "High"

	// SameSite is [http.SameSiteLaxMode] by default;
	// [http.SameSiteDefaultMode] leaves it out.
	SameSite http.SameSite

	// Encode returns the value for a session id. By default, characters that a
	// cookie cannot have are percent-encoded.
	Encode func(id string) string
}

// header returns the Set-Cookie header for an encoded value, in the order of
// EIO-CK-8.
func (c *Cookie) header(value string) string {
	b := []byte(cmp.Or(c.Name, "io") + "=" + value)
	attribute := func(name, value string) {
		if value != "" {
			b = append(append(append(b, "; "...), name...), value...)
		}
	}
	flag := func(name string, set bool) {
		if set {
			b = append(append(b, "; "...), name...)
		}
	}
	if c.MaxAge != 0 {
		attribute("Max-Age=", wholeSeconds(c.MaxAge))
	}
	attribute("Domain=", c.Domain)
	if !c.NoPath {
		attribute("Path=", cmp.Or(c.Path, "/"))
	}
	if !c.Expires.IsZero() {
		attribute("Expires=", c.Expires.UTC().Format(http.TimeFormat))
	}
	flag("HttpOnly", !c.Scriptable)
	flag("Secure", c.Secure)
	flag("Partitioned", c.Partitioned)
	attribute("Priority=", c.Priority)
	switch c.SameSite {
	case 0, http.SameSiteLaxMode:
		flag("SameSite=Lax", true)
	case http.SameSiteStrictMode:
		flag("SameSite=Strict", true)
	case http.SameSiteNoneMode:
		flag("SameSite=None", true)
	case http.SameSiteDefaultMode:
	}
	return string(b)
}

// clone returns a copy, so that the application cannot change it.
func (c *Cookie) clone() *Cookie {
	if c == nil {
		return nil
	}
	d := *c
	return &d
}

// validate returns an error for settings that can only be a mistake.
func (c *Cookie) validate() error {
	if c == nil {
		return nil
	}
	for name, v := range map[string]string{
		"Name": c.Name, "Path": c.Path, "Domain": c.Domain, "Priority": c.Priority,
	} {
		if strings.Contains(v, ";") || (v != "" && !visible(v)) || (name == "Name" && strings.ContainsAny(v, `=,"`)) {
			return fmt.Errorf("%s is %q, which a cookie cannot have", "Cookie."+name, v)
		}
	}
	if c.SameSite == http.SameSiteNoneMode && !c.Secure {
		return errors.New("Cookie.SameSite is None without Secure, which browsers ignore")
	}
	return nil
}
