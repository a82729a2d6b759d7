package sioechov5

import (
	"reflect"
	"slices"

	"github.com/labstack/echo/v5"
)

// keys returns the keys of the values that c has. Echo tells only the value of a
// key that one knows, so this looks into its context for the keys, and for
// nothing else.
func keys(c *echo.Context) []string {
	store := reflect.ValueOf(c).Elem().FieldByName("store")
	if !store.IsValid() || store.Type() != reflect.TypeFor[map[string]any]() {
		return nil
	}
	var keys []string
	for _, k := range store.MapKeys() {
		keys = append(keys, k.String())
	}
	return keys
}

// checkKeys panics if this version of Echo keeps its values in another way,
// rather than let handlers do without them.
func checkKeys() {
	c := echo.New().NewContext(nil, nil)
	c.Set("key", true)
	if !slices.Equal(keys(c), []string{"key"}) {
		//nolint:forbidigo // it does not depend on anything but the version
		panic("sioechov5: " + echo.Version + " of Echo is not one whose values this package can find: use another one of version 5")
	}
}
