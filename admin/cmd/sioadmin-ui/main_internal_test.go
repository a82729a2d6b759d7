package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// install makes a folder as npm does, with these files.
func install(t *testing.T, files map[string]string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for name, content := range files {
		must(t, write(filepath.Join(folder, name), []byte(content)))
	}
	return folder
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFromFolder(t *testing.T) {
	t.Parallel()
	from := install(t, map[string]string{
		"@socket.io/admin-ui/ui/dist/index.html":                   "page",
		"@socket.io/admin-ui/ui/dist/js/app.1.js":                  "script",
		"@socket.io/admin-ui/ui/dist/js/app.1.js.map":              "map",
		"@socket.io/admin-ui/dist/index.js":                        "the server",
		"@socket.io/admin-ui/LICENSE":                              "MIT",
		"@mdi/font/css/materialdesignicons.min.css":                "icons",
		"@mdi/font/css/materialdesignicons.css":                    "icons, readable",
		"@mdi/font/fonts/materialdesignicons-webfont.woff2":        "font",
		"@mdi/font/LICENSE":                                        "Apache",
		"@socket.io/admin-ui/node_modules/other/ui/dist/other.js":  "another package",
		"@socket.io/admin-ui/ui/node_modules/x/ui/dist/nested.css": "another package",
	})
	to := filepath.Join(t.TempDir(), "new", "folder")
	var out strings.Builder
	must(t, run(t.Context(), []string{"-from", from, to}, &out))
	if want := "The Admin UI is in " + to + ": 6 files. Serve them by Admin.UI.\n"; out.String() != want {
		t.Errorf("the command says %q, want %q", out.String(), want)
	}
	for name, want := range map[string]string{
		"index.html": "page", "js/app.1.js": "script", "css/materialdesignicons.min.css": "icons",
		"fonts/materialdesignicons-webfont.woff2": "font", "LICENSE.admin-ui": "MIT", "LICENSE.mdi-font": "Apache",
	} {
		got, err := os.ReadFile(filepath.Join(to, name))
		if err != nil || string(got) != want {
			t.Errorf("%s is %q, want %q: %v", name, got, want, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no folder":       {want: "name one folder for the files"},
		"two folders":     {args: []string{"a", "b"}, want: "name one folder for the files"},
		"no packages":     {args: []string{"-from", t.TempDir(), "x"}, want: "@socket.io/admin-ui: "},
		"another package": {args: []string{"-from", install(t, map[string]string{"@socket.io/admin-ui/x": ""}), "x"}, want: "@socket.io/admin-ui has none of the files that are needed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := run(t.Context(), tc.args, new(strings.Builder)); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("the error is %v, want %s", err, tc.want)
			}
		})
	}
}

// archive makes one as npm does.
func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range files {
		must(t, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644, Typeflag: tar.TypeReg}))
		_, err := w.Write([]byte(content))
		must(t, err)
	}
	must(t, w.Close())
	must(t, z.Close())
	return b.Bytes()
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	files := make(map[string][]byte)
	must(t, sources()[0].unpack(archive(t, map[string]string{
		"package/ui/dist/index.html": "page", "package/dist/index.js": "the server", "package/ui/dist/../../x.js": "out",
	}), files))
	if len(files) != 1 || string(files["index.html"]) != "page" {
		t.Errorf("unpacked %q", files)
	}
	if err := sources()[0].unpack([]byte("no archive"), files); err == nil {
		t.Error("something that is no archive is unpacked")
	}
}

// An npm that fails, or brings another archive than the one that is known.
func TestDownload(t *testing.T) {
	bin := t.TempDir()
	other := filepath.Join(bin, "other.tgz")
	must(t, os.WriteFile(other, archive(t, map[string]string{"package/ui/dist/index.html": "another page"}), 0o600))
	for name, tc := range map[string]struct{ script, want string }{
		"failure":           {"exit 1", "npm pack: exit status 1: is npm installed?"},
		"nothing":           {"exit 0", "npm pack has written 0 archives, want one"},
		"a changed archive": {`cp "` + other + `" "$4/x.tgz"`, "the archive of version 0.5.1 is not the one that is known: it has sha512-"},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\n"+tc.script+"\n"), 0o700))
			t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			if err := sources()[0].download(t.Context(), make(map[string][]byte)); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("the error is %v, want %s", err, tc.want)
			}
		})
	}
}
