// Package accept reads what HTTP clients say about the answers that they want.
package accept

import (
	"net/http"
	"strconv"
	"strings"
)

// Encoding returns which of the content codings that are on offer suits the
// client best, or "" for none. Quality counts first, then the order of the
// client's Accept-Encoding, and then that of the offers (EIO-HC-2, SIO-FS-4).
// Other than in the reference, a client that likes "identity" better than all of
// them gets that.
//
// A client that takes none of the offers, and refuses what is not encoded too,
// gets "" as well: it has the choice between that and nothing.
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

// A preference is what a client says about one coding.
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

// preferenceFor returns what the header says about a coding. Naming it counts more
// than "*", and a higher quality more than a lower one of the same name.
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
