package sio

import (
	"errors"
	"reflect"
	"slices"
)

// An Optional is an argument that clients may leave out. It is for the last parameters
// of [Ctx.Bind] and [Args.Bind], and for the parameter of a function of [Bind] or
// [Reply]:
//
//	var room string
//	var limit sio.Optional[int]
//	if err := c.Bind(&room, &limit); err != nil {
//		return err
//	}
//
// If the argument is missing or null, Set is false and Value is zero. Null counts as
// missing because undefined in JavaScript arrives as null. An argument that is not null
// has to fit, as any other.
//
// Only an Optional, or nil, may follow an Optional. Otherwise Bind returns an error. In
// the fields of a struct, use pointers instead.
type Optional[T any] struct {
	Value T
	Set   bool
}

// Or returns the value, or instead if there is none.
func (o Optional[T]) Or(instead T) T {
	if o.Set {
		return o.Value
	}
	return instead
}

// An optional is a pointer to an [Optional].
type optional interface {
	reset() (value any) // to be decoded into
	found()
	valueType() reflect.Type
}

func (o *Optional[T]) reset() any {
	*o = Optional[T]{}
	return &o.Value
}

func (o *Optional[T]) found() { o.Set = true }

func (*Optional[T]) valueType() reflect.Type { return reflect.TypeFor[T]() }

func isOptional(dst any) bool {
	_, is := dst.(optional)
	return is
}

var errAfterOptional = errors.New("sio: Bind got an Optional before an argument that is required: put what is optional last")

// decode decodes the values into dst. The error is one of package packet, or
// errAfterOptional.
func (a Args) decode(dst []any) error {
	first := slices.IndexFunc(dst, isOptional)
	if first < 0 {
		return a.args.Decode(a.codec, dst...)
	}
	targets := slices.Clone(dst)
	for i := first; i < len(dst); i++ {
		o, is := dst[i].(optional)
		switch {
		case is:
			targets[i] = o.reset()
		case dst[i] != nil:
			return errAfterOptional
		}
	}
	targets = targets[:max(first, min(len(dst), a.Len()))]
	for i, raw := range a.args.All() {
		if i >= first && i < len(targets) && string(raw) == "null" {
			targets[i] = nil
		}
	}
	if err := a.args.Decode(a.codec, targets...); err != nil {
		return err
	}
	for i := first; i < len(targets); i++ {
		if o, is := dst[i].(optional); is && targets[i] != nil {
			o.found()
		}
	}
	return nil
}
