package packet

import (
	"reflect"
	"slices"
	"strconv"

	"github.com/sioplug/sioplug/internal/rawjson"
)

// This file has the direct path of values that have no types of their own: trees of
// map[string]any and []any. The result is that of encoding/json.

// tree writes a tree, and reports whether v is one. What is no tree inside of it is
// written like an argument.
func (e *encoder) tree(v any, depth int) (bool, error) {
	switch v := v.(type) {
	case map[string]any:
		if v == nil {
			e.dst = append(e.dst, "null"...)
			return true, nil
		}
		return true, e.object(v, depth)
	case []any:
		if v == nil {
			e.dst = append(e.dst, "null"...)
			return true, nil
		}
		return true, e.array(v, depth)
	default:
		return false, nil
	}
}

func (e *encoder) array(list []any, depth int) error {
	if depth > maxWalk {
		return errCircular
	}
	e.dst = append(e.dst, '[')
	for i, v := range list {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		if err := e.valueIn(v, depth+1); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, ']')
	return nil
}

func (e *encoder) object(m map[string]any, depth int) error {
	if depth > maxWalk {
		return errCircular
	}
	e.dst = append(e.dst, '{')
	var few [16]string // so that small objects need no memory
	names := few[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			e.dst = append(e.dst, ',')
		}
		if e.hide {
			e.dst = append(rawjson.AppendName(e.dst, name), ':')
		} else {
			e.dst = append(rawjson.AppendString(e.dst, name), ':')
		}
		if err := e.valueIn(m[name], depth+1); err != nil {
			return err
		}
	}
	e.dst = append(e.dst, '}')
	return nil
}

// decodeTree decodes JSON into a tree, with what the placeholders in it stand for.
func decodeTree(raw []byte, attachments [][]byte) (any, error) {
	r := treeReader{Cursor: rawjson.Cursor{P: raw}, attachments: attachments}
	return r.value()
}

// holdsPointer reports whether encoding/json would decode into what v points to,
// where v is the value of an interface.
func holdsPointer(v any) bool {
	if v == nil {
		return false
	}
	old := reflect.ValueOf(v)
	return old.Kind() == reflect.Pointer && !old.IsNil()
}

type treeReader struct {
	rawjson.Cursor

	attachments [][]byte
}

// value decodes a value in one pass, however deep it is: an object is known to be a
// placeholder only when it has been read.
func (r *treeReader) value() (any, error) {
	switch r.Peek() {
	case '{':
		return r.object()
	case '[':
		list := []any{}
		for r.More() {
			v, err := r.value()
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case '"':
		return rawjson.DecodeString(r.Str()), nil
	case 'n':
		r.Scalar()
		return nil, nil //nolint:nilnil // null
	case 't', 'f':
		return r.Scalar()[0] == 't', nil
	default:
		return strconv.ParseFloat(string(r.Scalar()), 64)
	}
}

func (r *treeReader) object() (any, error) {
	object := make(map[string]any)
	var h rawjson.Placeholder
	for r.More() {
		name := r.Name()
		r.Peek()
		start := r.I
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		h.Member(name, r.P[start:r.I])
		object[rawjson.DecodeString(name)] = v
	}
	if h.Is {
		if i, ok := h.Index(len(r.attachments)); ok {
			return r.attachments[i], nil
		}
	}
	return object, nil
}
