package sio_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

// An exampleTB lets an example, which has no test, use package siotest.
type exampleTB struct {
	testing.TB // nil: nothing else is called

	cleanups []func()
}

func (*exampleTB) Helper()                      {}
func (e *exampleTB) Cleanup(f func())           { e.cleanups = append(e.cleanups, f) }
func (*exampleTB) Errorf(f string, args ...any) { fmt.Printf(f+"\n", args...) }
func (*exampleTB) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

func (e *exampleTB) end(srv *sio.Server, web *httptest.Server) {
	for _, f := range slices.Backward(e.cleanups) {
		f()
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	if web != nil {
		web.Close()
	}
}
