package chat

import (
	"bytes"
	"embed"
	"html/template"
	"io/fs"
	"os"
)

// The Socket.IO client for a page whose server has no copy of its own: the
// release that package.json names, with the digest of the same file in the npm
// package, so that a browser runs these bytes or none.
const (
	clientFile      = "socket.io.min.js"
	clientCDN       = "https://cdn.socket.io"
	clientURL       = clientCDN + "/4.8.3/" + clientFile
	clientIntegrity = "sha384-kzavj5fiMwLKzzD1f8S7TeoVIEi7uKHvbTA3ueZkrzYq75pNQUiUi6Dy98Q3fxb0"
)

//go:embed web/*.html web/*.css web/*.js web/*.svg
var web embed.FS

var templates = template.Must(template.ParseFS(web, "web/*.html"))

// Assets returns the style sheets and scripts that the pages ask for under
// /assets/.
func Assets() fs.FS {
	assets, err := fs.Sub(web, "web")
	if err != nil {
		panic(err) // the name is a constant
	}
	return assets
}

// ClientFS returns the folder dir if it holds the Socket.IO client, and nil if
// not: the pages then take the client from the CDN. It is made for
// [sio.Options.ClientFS].
func ClientFS(dir string) fs.FS {
	fsys := os.DirFS(dir)
	if _, err := fs.Stat(fsys, clientFile); err != nil {
		return nil
	}
	return fsys
}

// A Site tells the pages where they are served.
type Site struct {
	Framework   string   // "Gin"
	Setup       []string // the lines of code before the mount, for the sign-in page
	Mount       string   // the line that mounts the server
	LocalClient bool     // the server serves the Socket.IO client under /socket.io/
}

// Index returns the chat's page for user.
func (s Site) Index(user User) ([]byte, error) {
	return s.render("index.html", map[string]any{"User": user})
}

// Login returns the sign-in page: its form posts a name to /login. problem, if
// not empty, says why the last try failed.
func (s Site) Login(name, problem string) ([]byte, error) {
	return s.render("login.html", map[string]any{"Name": name, "Problem": problem, "MaxName": maxUserName})
}

// ContentSecurityPolicy returns the header that belongs to the pages. It allows
// no script in the page itself, so text that slips in as markup stays inert.
func (s Site) ContentSecurityPolicy() string {
	scripts := "'self'"
	if !s.LocalClient {
		scripts += " " + clientURL
	}
	return "default-src 'none'; script-src " + scripts + "; style-src 'self'; img-src 'self' blob:; " +
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

func (s Site) render(page string, data map[string]any) ([]byte, error) {
	data["Site"] = s
	data["ClientURL"], data["ClientIntegrity"] = clientURL, clientIntegrity
	var b bytes.Buffer
	err := templates.ExecuteTemplate(&b, page, data)
	return b.Bytes(), err
}
