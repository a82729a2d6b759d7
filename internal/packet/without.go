package packet

import (
	"slices"

	"github.com/sioplug/sioplug/internal/rawjson"
)

// Without returns the values without the one at index i, which must be less than
// [Args.Len]. The attachments of that value stay in the list, without a placeholder.
func (a Args) Without(i int) Args {
	c := rawjson.Cursor{P: a.raw}
	for k := range i {
		a.next(&c, k)
	}
	begin := c.I
	rest := a
	rest.n--
	switch {
	case rest.n == 0:
		rest.raw = nil
	case i == rest.Len(): // it is the last one
		rest.raw = slices.Clip(a.raw[:begin-1]) // without the comma
	default:
		a.next(&c, i)
		rest.raw = append(slices.Clip(a.raw[:begin]), a.raw[c.I:]...)
		rest.lent = false
	}
	return rest
}

// At returns the value at index i alone. If there is none, it returns the empty list.
func (a Args) At(i int) Args {
	if i < 0 || i >= a.Len() {
		return Args{}
	}
	a.raw, a.n = a.Raw(i), 1
	if len(a.attachments) > 0 && !rawjson.HasPlaceholder(a.raw) {
		a.attachments = nil
	}
	return a
}
