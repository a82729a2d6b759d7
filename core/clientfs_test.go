package sio_test

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// get returns the answer to a GET of a path relative to the mount.
func get(t *testing.T, d siotest.Dialer, file string, header ...string) (*http.Response, string) {
	t.Helper()
	return do(t, d, http.MethodGet, file, header...)
}

// do returns the answer to a request with headers, names and values in turn.
func do(t *testing.T, d siotest.Dialer, method, file string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.URL+file, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := d.HTTP(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(body)
}

const transportUnknown = `{"code":0,"message":"Transport unknown"}`

func clientFiles() fstest.MapFS {
	files := fstest.MapFS{"package.json": {Data: []byte("secret")}, "esm/index.js": {Data: []byte("secret")}}
	for _, name := range []string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"} {
		files[name] = &fstest.MapFile{Data: []byte("code of " + name)}
		files[name+".map"] = &fstest.MapFile{Data: []byte("map of " + name)}
	}
	return files
}

func TestSIO_FS_1_FS_2_TheEightFiles(t *testing.T) {
	_, d := loopback(t, &sio.Options{ClientFS: clientFiles()})
	for name, file := range clientFiles() {
		if !strings.HasPrefix(name, "socket.io.") {
			continue
		}
		want := "application/javascript; charset=utf-8"
		if strings.HasSuffix(name, ".map") {
			want = "application/json; charset=utf-8"
		}
		for _, url := range []string{name, name + "?v=1"} {
			res, body := get(t, d, url)
			if res.StatusCode != http.StatusOK || body != string(file.Data) {
				t.Errorf("%s: status %d, %q", url, res.StatusCode, body)
			}
			if got := res.Header.Get("Content-Type"); got != want {
				t.Errorf("%s: type %q, want %q", url, got, want)
			}
			if got := res.Header.Get("Cache-Control"); got != "public, max-age=0" {
				t.Errorf("%s: Cache-Control %q", url, got)
			}
		}
	}
}

// tags returns the tags of all encodings of a file.
func tags(t *testing.T, d siotest.Dialer, file string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, encoding := range []string{"identity", "br", "gzip", "deflate"} {
		res, _ := get(t, d, file, "Accept-Encoding", encoding)
		all[encoding] = res.Header.Get("Etag")
	}
	return all
}

func TestSIO_FS_2_FS_3_ETag(t *testing.T) {
	_, d := loopback(t, &sio.Options{ClientFS: packedFiles()})
	own := tags(t, d, "socket.io.js")
	seen := make(map[string]bool)
	for encoding, tag := range own {
		if len(tag) < 3 || tag[0] != '"' || seen[tag] {
			t.Errorf("%s has the tag %s", encoding, tag)
		}
		seen[tag] = true
	}
	etag := own["identity"]
	if other := tags(t, d, "socket.io.min.js")["identity"]; other == etag {
		t.Errorf("two files have the tag %s", etag)
	}
	for tag, want := range map[string]int{
		etag: 304, "W/" + etag: 304, "*": 304, `"x", ` + etag: 304, `"x,y",W/"z" ,  W/` + etag + `, "x"`: 304,
		`"x"`: 200, `"x", W/"y"`: 200, "": 200, own["gzip"]: 200, etag[1 : len(etag)-1]: 200, ",": 200,
	} {
		res, body := get(t, d, "socket.io.js", "If-None-Match", tag)
		if res.StatusCode != want || (want == 304) != (body == "") {
			t.Errorf("If-None-Match %s: status %d, body %q", tag, res.StatusCode, body)
		}
		if want == 304 && (res.Header.Get("Etag") != etag || res.Header.Get("Vary") != "Accept-Encoding" ||
			res.Header.Get("Cache-Control") != "public, max-age=0" || res.Header.Get("Content-Type") != "") {
			t.Errorf("If-None-Match %s: header %v", tag, res.Header)
		}
	}
	for encoding, tag := range own {
		res, _ := get(t, d, "socket.io.js", "If-None-Match", tag, "Accept-Encoding", encoding)
		if res.StatusCode != http.StatusNotModified {
			t.Errorf("%s: status %d", encoding, res.StatusCode)
		}
	}
}

// packedFiles are the files with compressed ones beside socket.io.js, which can
// be told from what a compressor would write.
func packedFiles() fstest.MapFS {
	files := clientFiles()
	files["socket.io.js.br"] = &fstest.MapFile{Data: []byte("in Brotli")}
	files["socket.io.js.gz"] = &fstest.MapFile{Data: []byte("in gzip")}
	return files
}

func TestSIO_FS_4_Encodings(t *testing.T) {
	_, d := loopback(t, &sio.Options{ClientFS: packedFiles()})
	for _, c := range []struct{ file, accept, encoding, body string }{
		{"socket.io.js", "", "", "code of socket.io.js"},
		{"socket.io.js", "br", "br", "in Brotli"},
		{"socket.io.js", "gzip,br,deflate", "gzip", "in gzip"},
		{"socket.io.js", "gzip;q=0.5, br", "br", "in Brotli"},
		{"socket.io.js", "gzip, deflate, br, zstd", "gzip", "in gzip"},
		{"socket.io.js", "identity;q=0, *", "br", "in Brotli"},
		{"socket.io.js", "*;q=0", "", "code of socket.io.js"},
		{"socket.io.js", "deflate", "deflate", "code of socket.io.js"},
		{"socket.io.js.map", "br", "", "map of socket.io.js"},
		{"socket.io.js.map", "br, gzip;q=0.1", "gzip", "map of socket.io.js"},
		{"socket.io.js.map", "*", "gzip", "map of socket.io.js"},
		{"socket.io.js.map", "deflate, gzip", "deflate", "map of socket.io.js"},
	} {
		for range 2 {
			res, body := get(t, d, c.file, "Accept-Encoding", c.accept)
			if got := res.Header.Get("Content-Encoding"); got != c.encoding {
				t.Errorf("%s, %s: encoding %q, want %q", c.file, c.accept, got, c.encoding)
			}
			if got := res.Header.Get("Content-Length"); got != strconv.Itoa(len(body)) {
				t.Errorf("%s, %s: length %s of %d", c.file, c.accept, got, len(body))
			}
			if got := res.Header.Get("Vary"); got != "Accept-Encoding" {
				t.Errorf("%s, %s: Vary %q", c.file, c.accept, got)
			}
			if !strings.HasPrefix(c.body, "in ") {
				body = unpack(t, c.encoding, body)
			}
			if body != c.body {
				t.Errorf("%s, %s: %q, want %q", c.file, c.accept, body, c.body)
			}
		}
	}
}

func unpack(t *testing.T, encoding, body string) string {
	t.Helper()
	var r io.Reader = strings.NewReader(body)
	var err error
	switch encoding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	must(t, err)
	return string(plain)
}

func TestSIO_FS_5_CORS(t *testing.T) {
	const origin = "https://app.example"
	_, d := loopback(t, &sio.Options{ClientFS: clientFiles(), CORS: &sio.CORS{Origins: []string{origin}}})
	res, body := get(t, d, "socket.io.js", "Origin", origin)
	if got := res.Header.Get("Access-Control-Allow-Origin"); got != origin || body != "code of socket.io.js" {
		t.Errorf("Access-Control-Allow-Origin %q, body %q", got, body)
	}
	vary := strings.Join(res.Header["Vary"], ", ")
	if !strings.Contains(vary, "Accept-Encoding") || !strings.Contains(vary, "Origin") {
		t.Errorf("Vary: %s", vary)
	}
	if res, _ := do(t, d, http.MethodOptions, "socket.io.js"); res.StatusCode != http.StatusNoContent {
		t.Errorf("preflight: status %d", res.StatusCode)
	}
}

func TestSIO_FS_6_Methods(t *testing.T) {
	_, d := loopback(t, &sio.Options{ClientFS: clientFiles()})
	whole, content := get(t, d, "socket.io.js")
	res, body := do(t, d, http.MethodHead, "socket.io.js")
	if res.StatusCode != http.StatusOK || body != "" || res.ContentLength != int64(len(content)) ||
		res.Header.Get("Etag") != whole.Header.Get("Etag") {
		t.Errorf("HEAD: status %d, %q, length %d, header %v", res.StatusCode, body, res.ContentLength, res.Header)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		res, body := do(t, d, method, "socket.io.js", "If-None-Match", "*")
		if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" || body != "" {
			t.Errorf("%s: status %d, %q", method, res.StatusCode, body)
		}
	}
}

func TestSIO_FS_7_FS_8_OtherFiles(t *testing.T) {
	partly := clientFiles()
	delete(partly, "socket.io.js")
	for name, files := range map[string]fs.FS{"all": packedFiles(), "some": partly, "none": nil} {
		_, d := loopback(t, &sio.Options{ClientFS: files})
		for _, file := range []string{"package.json", "socket.io.css", "esm/index.js", "socket.io.js.map.map", "socket.io.js.br", "socket.io.js.gz", "..%2fsocket.io.js.x", ""} {
			if res, body := get(t, d, file); res.StatusCode != http.StatusBadRequest || body != transportUnknown {
				t.Errorf("%s: %s: status %d, %s", name, file, res.StatusCode, body)
			}
		}
		if res, body := get(t, d, "socket.io.js"); name != "all" && (res.StatusCode != http.StatusBadRequest || body != transportUnknown) {
			t.Errorf("%s: a missing file: status %d, %s", name, res.StatusCode, body)
		}
	}
}

// A countingFS counts how often its files are opened, and fails while it is
// told to.
type countingFS struct {
	fs.FS

	before func() // is called before a file is opened; may be nil

	mu     sync.Mutex
	opened map[string]int
	fails  func() error // nil: it does not
}

func (c *countingFS) Open(name string) (fs.File, error) {
	if c.before != nil {
		c.before()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fails != nil {
		return nil, c.fails()
	}
	if c.opened == nil {
		c.opened = make(map[string]int)
	}
	c.opened[name]++
	return c.FS.Open(name)
}

func (c *countingFS) failWith(f func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fails = f
}

func TestClientFilesAreReadOnce(t *testing.T) {
	var atTheDoor, clients sync.WaitGroup
	files := &countingFS{FS: packedFiles(), before: atTheDoor.Wait}
	srv, d := loopback(t, &sio.Options{ClientFS: files})
	for _, encoding := range []string{"", "br", "gzip", "deflate", "gzip", "deflate"} {
		atTheDoor.Add(1)
		clients.Go(func() {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/socket.io/socket.io.js", http.NoBody)
			r.Header.Set("Accept-Encoding", encoding)
			w := httptest.NewRecorder()
			atTheDoor.Done()
			srv.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Errorf("%s: status %d", encoding, w.Code)
			}
		})
	}
	clients.Wait()
	get(t, d, "package.json")
	want := map[string]int{"socket.io.js": 1, "socket.io.js.br": 1, "socket.io.js.gz": 1}
	if diff := cmp.Diff(want, files.opened); diff != "" {
		t.Errorf("files opened: %s", diff)
	}
}

// What cannot be read is an error for the operator, once: clients choose how
// often they ask.
func TestFileThatCannotBeReadIsAnError(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("disk on fire") },
		"panic": func() error { panic("disk on fire") },
	} {
		t.Run(name, func(t *testing.T) {
			l := new(logbook)
			files := &countingFS{FS: clientFiles()}
			files.failWith(fail)
			_, d := loopback(t, &sio.Options{ClientFS: files, Logger: slog.New(l)})
			for range 3 {
				if res, body := get(t, d, "socket.io.js"); res.StatusCode != http.StatusInternalServerError || body != "" {
					t.Errorf("status %d, %q", res.StatusCode, body)
				}
			}
			line := l.one(t, "disk on fire")
			if !strings.HasPrefix(line, "ERROR") || !strings.Contains(line, "ClientFS") || !strings.Contains(line, "socket.io.js") {
				t.Error(line)
			}
			files.failWith(nil)
			if res, body := get(t, d, "socket.io.js"); res.StatusCode != http.StatusOK || body != "code of socket.io.js" {
				t.Errorf("when it can be read again: status %d, %q", res.StatusCode, body)
			}
		})
	}
}
