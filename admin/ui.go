package sioadmin

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sioplug/sioplug/internal/misuse"
)

// UIOptions are settings of [Admin.UI]. A zero value means the default.
type UIOptions struct {
	// ServerURL is where the page connects to. The default is the server that the page
	// came from.
	ServerURL string

	// Path is where the Socket.IO server is mounted, "/socket.io/" by default.
	Path string

	// MessagePack is for a server with parser/msgpack.
	MessagePack bool

	// ConnectTo are more servers that the page may connect to, such as
	// "https://chat.example.com wss://chat.example.com". It is a part of the page's
	// Content-Security-Policy.
	ConnectTo string
}

const (
	indexFile   = "index.html"
	connectFile = "sioplug-connect.js" // ours
	iconsFile   = "css/materialdesignicons.min.css"

	maxIndex = 1 << 20

	defaultPath = "/socket.io/"
)

// A ui serves the files of the Admin UI.
type ui struct {
	prefix  string // without the last slash
	files   fs.FS
	connect []byte
	policy  string

	foreign *regexp.Regexp // what a page loads from other servers
	hashed  *regexp.Regexp // names that change with the content
}

// UI serves the files of the Admin UI under a path of the application. prefix is this path,
// such as "/ops/admin": mount the handler for it and everything below. It works in a router
// that leaves the request's path as it is, and behind [http.StripPrefix] with the prefix "/".
//
// files are those that the command admin/cmd/sioadmin-ui has written. If they are missing, a
// page says so. UI serves only files of the UI, whatever else there is. The page needs no
// other server. Everybody who can reach the path gets the page, and has to sign in.
func (a *Admin) UI(prefix string, files fs.FS, opts *UIOptions) http.Handler {
	if files == nil {
		misuse.Panic("sioadmin: UI got no files: use os.DirFS, or fs.Sub of an embed.FS")
	}
	var o UIOptions
	if opts != nil {
		o = *opts
	}
	return &ui{
		prefix:  strings.TrimSuffix("/"+strings.Trim(prefix, "/"), "/"),
		files:   files,
		connect: a.connectScript(&o),
		foreign: regexp.MustCompile(`(?i)<link\b[^>]*\bhref="?(https?:)?//[^>]*>|<script\b[^>]*\bsrc="?(https?:)?//[^>]*>\s*</script>`),
		hashed:  regexp.MustCompile(`\.[0-9a-f]{8}\.`),
		policy: "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
			strings.TrimSpace("connect-src 'self' "+cmp.Or(o.ConnectTo, o.ServerURL)) +
			"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
}

//go:embed connect.js
var connectTemplate string

// connectScript returns the script that fills in the dialog of the UI.
func (a *Admin) connectScript(o *UIOptions) []byte {
	parser := "default"
	if o.MessagePack {
		parser = "msgpack"
	}
	values, _ := json.Marshal(map[string]string{ //nolint:errchkjson // strings
		"server_url": o.ServerURL, "namespace": a.opts.Namespace, "path": cmp.Or(o.Path, defaultPath), "parser": parser,
	})
	return bytes.Replace([]byte(connectTemplate), []byte("VALUES"), values, 1)
}

// ServeHTTP implements [http.Handler].
func (u *ui) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", u.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name, below := strings.CutPrefix(r.URL.Path, u.prefix+"/")
	switch {
	case r.URL.Path == u.prefix && u.prefix != "":
		h.Set("Location", path.Base(u.prefix)+"/") // relative: a proxy may have cut something off
		w.WriteHeader(http.StatusPermanentRedirect)
	case !below:
		http.NotFound(w, r)
	case name == "" || name == indexFile:
		u.serveIndex(w, r)
	case name == connectFile:
		h.Set("Content-Type", contentType(name))
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(u.connect))
	default:
		u.serveFile(w, r, name)
	}
}

// serveIndex serves the page. Its icons and its script are local.
func (u *ui) serveIndex(w http.ResponseWriter, r *http.Request) {
	page, err := u.read(indexFile)
	if err != nil {
		http.Error(w, "The files of the Admin UI are missing. Get them from npm by this command: "+
			"go run github.com/sioplug/sioplug/admin/cmd/sioadmin-ui FOLDER", http.StatusNotFound)
		return
	}
	page = u.foreign.ReplaceAllLiteral(page, nil)
	ours := `<script src="` + connectFile + `"></script>`
	if _, err := fs.Stat(u.files, iconsFile); err == nil {
		ours = `<link href="` + iconsFile + `" rel="stylesheet">` + ours
	}
	page = bytes.Replace(page, []byte("</head>"), []byte(ours+"</head>"), 1)
	w.Header().Set("Content-Type", contentType(indexFile))
	http.ServeContent(w, r, indexFile, time.Time{}, bytes.NewReader(page))
}

func (u *ui) read(name string) ([]byte, error) {
	f, err := u.files.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, maxIndex))
}

// serveFile serves another file of the UI.
func (u *ui) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	kind := contentType(name)
	ours := name == "favicon.png" || slices.Contains([]string{"css", "fonts", "img", "js"}, path.Dir(name))
	if kind == "" || !ours || !fs.ValidPath(name) {
		http.NotFound(w, r)
		return
	}
	f, err := u.files.Open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	content, seeks := f.(io.ReadSeeker)
	if err != nil || !info.Mode().IsRegular() || !seeks {
		http.Error(w, errNotServed.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	if u.hashed.MatchString(name) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, info.ModTime(), content)
}

var errNotServed = errors.New("the file cannot be served: use the file system of os.DirFS, or an embed.FS")

// contentType returns the type of a file of the UI, "" for other files.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".png":
		return "image/png"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	}
	return ""
}
