package rescue_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sioplug/sioplug/core/internal/rescue"
)

func TestCall(t *testing.T) {
	t.Parallel()
	if err := rescue.Call(func() error { return nil }); err != nil {
		t.Errorf("no error became %v", err)
	}
	if err := rescue.Call(func() error { return io.EOF }); !errors.Is(err, io.EOF) {
		t.Errorf("an error became %v", err)
	}
	err := rescue.Call(func() error { panic("oh no") })
	p, ok := errors.AsType[*rescue.PanicError](err)
	if !ok || p.Error() != "panic: oh no" || !strings.Contains(string(p.Stack), "TestCall") {
		t.Errorf("a panic became %v", err)
	}
}
