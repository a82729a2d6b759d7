package packet

import (
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"sync"
)

// This file finds out whether a value holds attachments. Most types decide
// that by themselves, once; only what interfaces hold must be looked at.

// errCircular is for data that contains itself, or might as well.
var errCircular = errors.New("value is circular or nested too deeply")

// maxWalk is how many pointers, interfaces, slices, maps and structs may stand
// inside each other where types alone set no bound. It is what the JSON
// encoders have as their own limit, and costs a few MB of stack at worst.
const maxWalk = 10_000

// traits say what can be reached from a type.
type traits uint8

const (
	holdsBytes     traits = 1 << iota // a byte slice, to become an attachment
	holdsNamed                        // one whose type has a name
	holdsInterface                    // an interface: anything
	recursive                         // a type that contains itself
)

// A typeInfo is what there is to know about a type.
type typeInfo struct {
	traits traits
	fields []int // of a struct: which fields are encoded
}

// typeInfos remembers types; the program has only so many.
var typeInfos sync.Map //nolint:gochecknoglobals // map[reflect.Type]*typeInfo, a cache of facts

func infoOf(t reflect.Type) *typeInfo {
	if v, ok := typeInfos.Load(t); ok {
		return v.(*typeInfo) //nolint:forcetypeassert,errcheck // nothing else is stored
	}
	w := typeWalk{open: make(map[reflect.Type]bool)}
	w.visit(t)
	info := &typeInfo{traits: w.found}
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			if encoded(t.Field(i)) {
				info.fields = append(info.fields, i)
			}
		}
	}
	typeInfos.Store(t, info)
	return info
}

// A typeWalk collects the traits of one type.
type typeWalk struct {
	open  map[reflect.Type]bool // types seen, true while inside of them
	found traits
}

func (w *typeWalk) visit(t reflect.Type) {
	if isBytes(t) {
		w.found |= holdsBytes
		if t != reflect.TypeFor[[]byte]() {
			w.found |= holdsNamed
		}
		return
	}
	if opaque(t) {
		return
	}
	if inside, seen := w.open[t]; seen {
		if inside {
			w.found |= recursive
		}
		return
	}
	w.open[t] = true
	defer func() { w.open[t] = false }()
	switch t.Kind() {
	case reflect.Interface:
		w.found |= holdsInterface
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		w.visit(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if encoded(f) {
				w.visit(f.Type)
			}
		}
	default: // holds nothing
	}
}

// encoded reports whether encoding/json looks at a field. Of embedded structs
// it promotes the fields even if their type is not exported.
func encoded(f reflect.StructField) bool {
	if f.Tag.Get("json") == "-" {
		return false
	}
	t := f.Type
	if f.Anonymous && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return f.IsExported() || f.Anonymous && t.Kind() == reflect.Struct
}

// isBytes reports whether values of a type are sent as attachments: byte
// slices, also those with a name.
func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem() == reflect.TypeFor[byte]() && !opaque(t)
}

// opaque reports whether a type does its own encoding.
func opaque(t reflect.Type) bool {
	return implements(t, reflect.TypeFor[json.Marshaler]()) ||
		implements(t, reflect.TypeFor[encoding.TextMarshaler]())
}

func implements(t, iface reflect.Type) bool {
	return t.Implements(iface) || t.Kind() != reflect.Interface && reflect.PointerTo(t).Implements(iface)
}

// attachmentsIn returns holdsBytes if v holds attachments, together with
// holdsNamed if it has any of those. It may do so when they are nil or left out
// by a tag, but not the other way round. If it does, v is not circular
// (SIO-ENC-9).
func attachmentsIn(v any) (traits, error) {
	found := infoOf(reflect.TypeOf(v)).traits
	if found&(holdsBytes|holdsInterface) == 0 {
		return 0, nil // and if it is circular, the codec says it
	}
	if found&(holdsInterface|recursive) == 0 {
		return found, nil
	}
	var w valueWalk
	err := w.any(v, 0)
	return w.found, err
}

// A valueWalk looks for attachments in a value. It does not stop at the first
// one, so that it also finds circles, which the encoder of values with
// attachments would not survive.
type valueWalk struct{ found traits }

// any looks at trees of maps and slices as decoded from JSON without the help
// of reflection.
func (w *valueWalk) any(v any, depth int) error {
	if depth > maxWalk {
		return errCircular
	}
	switch v := v.(type) {
	case nil, string, bool, float64, int:
		return nil
	case []byte:
		w.found |= holdsBytes
		return nil
	case map[string]any:
		for _, e := range v {
			if err := w.any(e, depth+1); err != nil {
				return err
			}
		}
		return nil
	case []any:
		for _, e := range v {
			if err := w.any(e, depth+1); err != nil {
				return err
			}
		}
		return nil
	default:
		return w.value(reflect.ValueOf(v), depth)
	}
}

func (w *valueWalk) value(v reflect.Value, depth int) error {
	if depth > maxWalk {
		return errCircular
	}
	if !v.IsValid() { // behind a nil pointer or interface
		return nil
	}
	info := infoOf(v.Type())
	if info.traits&(holdsInterface|recursive) == 0 {
		w.found |= info.traits
		return nil
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return w.value(v.Elem(), depth+1)
	case reflect.Struct:
		for _, i := range info.fields {
			if err := w.value(v.Field(i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := w.value(v.Index(i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if err := w.value(it.Value(), depth+1); err != nil {
				return err
			}
		}
	default: // holds nothing
	}
	return nil
}
