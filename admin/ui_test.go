package sioadmin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	sioadmin "github.com/sioplug/sioplug/admin"
	sio "github.com/sioplug/sioplug/core"
)

// published is what the UI's own page looks like, with less in it.
const published = `<!DOCTYPE html><html><head><title>UI</title>` +
	`<link rel="stylesheet" href="https://fonts.example/css?family=Roboto:100,300">` +
	`<LINK href=//cdn.example/icons.css rel=stylesheet><script src="https://cdn.example/a.js"></script>` +
	`<link href="css/app.6e3b9661.css" rel="stylesheet"></head><body><script src="js/app.0d7d7845.js"></script></body></html>`

func uiFiles() fstest.MapFS {
	files := make(fstest.MapFS)
	for name, content := range map[string]string{
		"index.html": published, "favicon.png": "png", "css/app.6e3b9661.css": "css", "js/app.0d7d7845.js": "js",
		"js/app.js.map": "map", "js/.env.js": "js", "css/materialdesignicons.min.css": "icons", "fonts/icons.woff2": "font",
		"main.go": "package main", "private.js": "secret", "js/deep/er.js": "js",
	} {
		files[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return files
}

func newUI(t *testing.T, prefix string, files fstest.MapFS, opts *sioadmin.UIOptions) http.Handler {
	t.Helper()
	srv := sio.New(nil)
	t.Cleanup(func() { must(t, srv.Shutdown(context.WithoutCancel(t.Context()))) })
	o := options(sioadmin.Production)
	o.Namespace = "ops"
	admin, err := sioadmin.Instrument(srv, o)
	must(t, err)
	return admin.UI(prefix, files, opts)
}

func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestUIServesItsFilesAlone(t *testing.T) {
	t.Parallel()
	ui := newUI(t, "/ops/admin", uiFiles(), nil)
	for path, want := range map[string]struct {
		status int
		typ    string
	}{
		"/ops/admin":                                 {status: 308},
		"/ops/admin/":                                {200, "text/html; charset=utf-8"},
		"/ops/admin/index.html":                      {200, "text/html; charset=utf-8"},
		"/ops/admin/favicon.png":                     {200, "image/png"},
		"/ops/admin/css/app.6e3b9661.css":            {200, "text/css; charset=utf-8"},
		"/ops/admin/css/materialdesignicons.min.css": {200, "text/css; charset=utf-8"},
		"/ops/admin/fonts/icons.woff2":               {200, "font/woff2"},
		"/ops/admin/js/app.0d7d7845.js":              {200, "text/javascript; charset=utf-8"},
		"/ops/admin/sioplug-connect.js":              {200, "text/javascript; charset=utf-8"},
		"/ops/admin/main.go":                         {status: 404},
		"/ops/admin/private.js":                      {status: 404},
		"/ops/admin/js/app.js.map":                   {status: 404},
		"/ops/admin/js/deep/er.js":                   {status: 404},
		"/ops/admin/js":                              {status: 404},
		"/ops/admin/js/":                             {status: 404},
		"/ops/admin/js/none.js":                      {status: 404},
		"/ops/admin/../ops/admin/private.js":         {status: 404},
		"/ops/admin/js/../private.js":                {status: 404},
		"/ops/admin//etc/passwd":                     {status: 404},
		"/ops/administrator":                         {status: 404},
		"/":                                          {status: 404},
	} {
		w := get(ui, http.MethodGet, path)
		if w.Code != want.status {
			t.Errorf("%s: status %d, want %d", path, w.Code, want.status)
		}
		if got := w.Header().Get("Content-Type"); want.typ != "" && got != want.typ {
			t.Errorf("%s: type %s, want %s", path, got, want.typ)
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || !strings.Contains(policy, "connect-src 'self';") ||
			w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, w.Header())
		}
	}
	if to := get(ui, http.MethodGet, "/ops/admin").Header().Get("Location"); to != "admin/" {
		t.Errorf("without the slash: to %s, want admin/", to)
	}
	for path, want := range map[string]string{
		"/ops/admin/": "no-cache", "/ops/admin/favicon.png": "no-cache", "/ops/admin/js/app.0d7d7845.js": "public, max-age=31536000, immutable",
	} {
		if got := get(ui, http.MethodGet, path).Header().Get("Cache-Control"); got != want {
			t.Errorf("%s: Cache-Control %s, want %s", path, got, want)
		}
	}
	if w := get(ui, http.MethodPost, "/ops/admin/"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: status %d, %v", w.Code, w.Header())
	}
	if w := get(ui, http.MethodHead, "/ops/admin/"); w.Code != http.StatusOK || w.Body.Len() > 0 {
		t.Errorf("HEAD: status %d, %d bytes", w.Code, w.Body.Len())
	}
}

// The page loads nothing from other servers (ADM-UI-3).
func TestUIIsLocal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		without string
		want    string
	}{
		"with icons": {want: `<link href="css/materialdesignicons.min.css" rel="stylesheet"><script src="sioplug-connect.js"></script></head>`},
		"without": {
			without: "css/materialdesignicons.min.css",
			want:    `<link href="css/app.6e3b9661.css" rel="stylesheet"><script src="sioplug-connect.js"></script></head>`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := uiFiles()
			delete(files, tc.without)
			page := get(newUI(t, "/", files, nil), http.MethodGet, "/").Body.String()
			if strings.Contains(page, "//") {
				t.Errorf("the page loads something from elsewhere: %s", page)
			}
			if !strings.Contains(page, tc.want) || !strings.Contains(page, `<script src="js/app.0d7d7845.js"></script>`) {
				t.Errorf("the page is %s", page)
			}
		})
	}
}

// The dialog is filled in (ADM-UI-2).
func TestUIFillsInTheDialog(t *testing.T) {
	t.Parallel()
	script := get(newUI(t, "x", uiFiles(), nil), http.MethodGet, "/x/sioplug-connect.js").Body.String()
	if want := `{"namespace":"/ops","parser":"default","path":"/socket.io/","server_url":""}`; !strings.Contains(script, want) {
		t.Errorf("the script is %s", script)
	}
	ui := newUI(t, "x", uiFiles(), &sioadmin.UIOptions{ServerURL: "https://chat.example", Path: "/ws/", MessagePack: true})
	w := get(ui, http.MethodGet, "/x/sioplug-connect.js")
	if want := `{"namespace":"/ops","parser":"msgpack","path":"/ws/","server_url":"https://chat.example"}`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("the script is %s", w.Body)
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "connect-src 'self' https://chat.example;") {
		t.Errorf("the policy is %s", policy)
	}
}

// Without the files, the page says how to get them.
func TestUIWithoutFiles(t *testing.T) {
	t.Parallel()
	w := get(newUI(t, "/ui/", fstest.MapFS{}, nil), http.MethodGet, "/ui/")
	if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "go run github.com/sioplug/sioplug/admin/cmd/sioadmin-ui FOLDER") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	defer func() {
		if v := recover(); v != "sioadmin: UI got no files: use os.DirFS, or fs.Sub of an embed.FS" {
			t.Errorf("panicked with %v", v)
		}
	}()
	new(sioadmin.Admin).UI("/", nil, nil)
}
