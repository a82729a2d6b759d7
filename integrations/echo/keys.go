package sioecho

import (
	"reflect"
	"slices"

	"github.com/labstack/echo/v4"
)

// keys returns the keys of the values that c has. Echo tells only the value of a
// key that one knows, so this looks into its context for the keys, and for
// nothing else. In an application's own context Echo's is the embedded field
// Context.
func keys(c echo.Context) []string {
	v := reflect.ValueOf(c)
	for v.IsValid() {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			v = v.Elem()
			continue
		case reflect.Struct:
		default:
			return nil
		}
		if store := v.FieldByName("store"); store.IsValid() && store.Type() == reflect.TypeFor[echo.Map]() {
			var keys []string
			for _, k := range store.MapKeys() {
				keys = append(keys, k.String())
			}
			return keys
		}
		v = v.FieldByName("Context")
	}
	return nil
}

// checkKeys panics if this version of Echo keeps its values in another way,
// rather than let handlers do without them.
func checkKeys() {
	c := echo.New().NewContext(nil, nil)
	c.Set("key", true)
	if !slices.Equal(keys(c), []string{"key"}) {
		//nolint:forbidigo // it does not depend on anything but the version
		panic("sioecho: " + echo.Version + " of Echo is not one whose values this package can find: use another one of version 4")
	}
}
