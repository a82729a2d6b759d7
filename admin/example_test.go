package sioadmin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing/fstest"

	sioadmin "github.com/sioplug/sioplug/admin"
	sio "github.com/sioplug/sioplug/core"
)

func ExampleInstrument() {
	srv := sio.New(nil)
	defer func() { _ = srv.Shutdown(context.Background()) }()
	_, err := sioadmin.Instrument(srv, sioadmin.Options{Username: "admin"})
	fmt.Println(err)

	hash, _ := sioadmin.HashPassword("correct horse battery staple")
	_, err = sioadmin.Instrument(srv, sioadmin.Options{Username: "admin", PasswordHash: hash})
	fmt.Println(err)
	// Output:
	// sioadmin: Options.Username or PasswordHash is empty: set both, or NoAuth for development
	// <nil>
}

func ExampleAdmin_UI() {
	srv := sio.New(nil)
	defer func() { _ = srv.Shutdown(context.Background()) }()
	admin, err := sioadmin.Instrument(srv, sioadmin.Options{NoAuth: true, Mode: sioadmin.Development})
	if err != nil {
		fmt.Println(err)
		return
	}
	files := fstest.MapFS{"index.html": &fstest.MapFile{Data: []byte("<head></head>the page")}} // os.DirFS("adminui")
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	mux.Handle("/ops/", admin.UI("/ops/", files, nil))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ops/", nil))
	fmt.Println(w.Code, strings.HasSuffix(w.Body.String(), "the page"))
	// Output: 200 true
}
