// Package accept reads the Accept-Encoding header of HTTP requests.
package accept

import (
	"net/http"
	"strconv"
	"strings"
)

// Encoding returns the content coding that the client prefers among the offers, or ""
// for none. Quality counts first, then the order of Accept-Encoding, and then that of
// the offers (EIO-HC-2, SIO-FS-4). If the client prefers "identity" to all offers, the
// result is "", other than in the reference.
//
// It is also "" if the client accepts none of the offers and not even identity: an answer
// without encoding is better than none.
func Encoding(h http.Header, offers ...string) string {
	header := strings.Join(h["Accept-Encoding"], ",")
	if header == "" {
		return ""
	}
	best, choice := preference{}, ""
	for _, offer := range offers {
		if p := preferenceFor(header, offer); p.quality > 0 && p.better(best) {
			best, choice = p, offer
		}
	}
	if preferenceFor(header, "identity").quality > best.quality {
		return ""
	}
	return choice
}

// A preference is the client's preference for one coding.
type preference struct {
	quality  float64
	exact    bool // not by "*"
	position int  // in the client's list
}

// better reports whether p is to be taken rather than q.
func (p preference) better(q preference) bool {
	switch {
	case p.quality != q.quality:
		return p.quality > q.quality
	case p.exact != q.exact:
		return p.exact
	default:
		return p.position < q.position
	}
}

// preferenceFor returns the header's preference for a coding. The name counts more than
// "*". If a name is repeated, the highest quality counts.
func preferenceFor(header, coding string) preference {
	var best preference
	found, place := false, 0
	for item := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(item, ";")
		name = strings.TrimSpace(name)
		exact := strings.EqualFold(name, coding)
		if exact || name == "*" {
			p := preference{quality(params), exact, place}
			if !found || (exact && !best.exact) || (exact == best.exact && p.better(best)) {
				best, found = p, true
			}
		}
		place++
	}
	return best
}

// quality returns the q parameter, 1 if there is none.
func quality(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				return 0
			}
			return q
		}
	}
	return 1
}
