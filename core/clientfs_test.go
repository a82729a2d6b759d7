package sio_test

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// get returns the answer to a GET of a path relative to the mount.
func get(t *testing.T, d siotest.Dialer, file string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL+file, http.NoBody)
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

func TestSIO_FS_2_FS_3_ETag(t *testing.T) {
	_, d := loopback(t, &sio.Options{ClientFS: clientFiles()})
	res, _ := get(t, d, "socket.io.js")
	etag := res.Header.Get("Etag")
	other, _ := get(t, d, "socket.io.min.js")
	if len(etag) < 3 || etag[0] != '"' || etag == other.Header.Get("Etag") {
		t.Fatalf("ETag %s, of another file %s", etag, other.Header.Get("Etag"))
	}
	for tag, want := range map[string]int{etag: 304, "W/" + etag: 304, `"x"`: 200, "": 200} {
		res, body := get(t, d, "socket.io.js", "If-None-Match", tag)
		if res.StatusCode != want || (want == 304) != (body == "") {
			t.Errorf("If-None-Match %s: status %d, body %q", tag, res.StatusCode, body)
		}
	}
}

func TestSIO_FS_7_FS_8_OtherFiles(t *testing.T) {
	partly := clientFiles()
	delete(partly, "socket.io.js")
	for name, files := range map[string]fs.FS{"all": clientFiles(), "some": partly, "none": nil} {
		_, d := loopback(t, &sio.Options{ClientFS: files})
		for _, file := range []string{"package.json", "socket.io.css", "esm/index.js", "socket.io.js.map.map", "..%2fsocket.io.js.x", ""} {
			if res, body := get(t, d, file); res.StatusCode != http.StatusBadRequest || body != transportUnknown {
				t.Errorf("%s: %s: status %d, %s", name, file, res.StatusCode, body)
			}
		}
		if res, body := get(t, d, "socket.io.js"); name != "all" && (res.StatusCode != http.StatusBadRequest || body != transportUnknown) {
			t.Errorf("%s: a missing file: status %d, %s", name, res.StatusCode, body)
		}
	}
}

// A brokenFS cannot read what it has.
type brokenFS struct{}

func (brokenFS) Open(string) (fs.File, error) { return nil, errors.New("disk on fire") }

func TestFileThatCannotBeReadIsAnError(t *testing.T) {
	l := new(logbook)
	_, d := loopback(t, &sio.Options{ClientFS: brokenFS{}, Logger: slog.New(l)})
	if res, body := get(t, d, "socket.io.js"); res.StatusCode != http.StatusInternalServerError || body != "" {
		t.Errorf("status %d, %q", res.StatusCode, body)
	}
	if line := l.one(t, "disk on fire"); !strings.HasPrefix(line, "ERROR") || !strings.Contains(line, "ClientFS") {
		t.Error(line)
	}
}
