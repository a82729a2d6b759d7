package packet

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"github.com/sioplug/sioplug/internal/rawjson"
)

// This file has the direct paths: values that most events consist of, encoded
// and decoded without reflection.

// errNumber is for the numbers that JSON does not have (SIO-ENC-8 allows null,
// but then a mistake would go unnoticed).
var errNumber = errors.New("NaN and infinities have no JSON form")

// errRaw is for a json.RawMessage that does not hold what it should.
var errRaw = errors.New("json.RawMessage is not a valid JSON value")

// appendSimple appends v if there is a direct path for it, and reports whether
// there is.
func appendSimple(dst []byte, v any) ([]byte, bool, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), true, nil
	case string:
		return rawjson.AppendString(dst, v), true, nil
	case bool:
		return strconv.AppendBool(dst, v), true, nil
	case json.RawMessage:
		return appendRaw(dst, v)
	case float64:
		return appendFloat(dst, v, 64)
	case float32:
		return appendFloat(dst, float64(v), 32)
	}
	if i, ok := signed(v); ok {
		return strconv.AppendInt(dst, i, 10), true, nil
	}
	if u, ok := unsigned(v); ok {
		return strconv.AppendUint(dst, u, 10), true, nil
	}
	return dst, false, nil
}

func signed(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case int32:
		return int64(v), true
	case int16:
		return int64(v), true
	case int8:
		return int64(v), true
	}
	return 0, false
}

func unsigned(v any) (uint64, bool) {
	switch v := v.(type) {
	case uint:
		return uint64(v), true
	case uint64:
		return v, true
	case uint32:
		return uint64(v), true
	case uint16:
		return uint64(v), true
	case uint8:
		return uint64(v), true
	case uintptr:
		return uint64(v), true
	}
	return 0, false
}

// appendRaw appends JSON from the application, which would break the packet, or
// the WebSocket connection, if it were not what it says.
func appendRaw(dst []byte, v json.RawMessage) ([]byte, bool, error) {
	if v == nil {
		return append(dst, "null"...), true, nil
	}
	if !validJSON(v) {
		return dst, true, errRaw
	}
	return append(dst, v...), true, nil
}

// appendFloat writes a number if JSON has it.
func appendFloat(dst []byte, f float64, size int) ([]byte, bool, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, true, errNumber
	}
	return rawjson.AppendFloat(dst, f, size), true, nil
}

// decodeSimple decodes a value into a destination that has a direct path. It
// reports false, without having changed dst, if there is none or if value and
// destination do not fit; the codec then finds the right words for that.
func decodeSimple(raw []byte, dst any) bool {
	if d, ok := dst.(*bool); ok {
		if d == nil || raw[0] != 't' && raw[0] != 'f' {
			return false
		}
		*d = raw[0] == 't'
		return true
	}
	if c := raw[0]; c != '-' && !rawjson.IsDigit(c) {
		return false
	}
	return decodeNumber(raw, dst)
}

func decodeNumber(raw []byte, dst any) bool {
	switch d := dst.(type) {
	case *float64:
		f, err := strconv.ParseFloat(string(raw), 64)
		if d == nil || err != nil {
			return false
		}
		*d = f
		return true
	case *int:
		return decodeInt(raw, d)
	case *int64:
		return decodeInt(raw, d)
	case *int32:
		return decodeInt(raw, d)
	case *int16:
		return decodeInt(raw, d)
	case *int8:
		return decodeInt(raw, d)
	case *uint:
		return decodeUint(raw, d)
	case *uint64:
		return decodeUint(raw, d)
	case *uint32:
		return decodeUint(raw, d)
	case *uint16:
		return decodeUint(raw, d)
	case *uint8:
		return decodeUint(raw, d)
	}
	return false
}

func decodeInt[T int | int64 | int32 | int16 | int8](raw []byte, dst *T) bool {
	i, err := strconv.ParseInt(string(raw), 10, 64)
	if dst == nil || err != nil || int64(T(i)) != i {
		return false
	}
	*dst = T(i)
	return true
}

func decodeUint[T uint | uint64 | uint32 | uint16 | uint8](raw []byte, dst *T) bool {
	u, err := strconv.ParseUint(string(raw), 10, 64)
	if dst == nil || err != nil || uint64(T(u)) != u {
		return false
	}
	*dst = T(u)
	return true
}
