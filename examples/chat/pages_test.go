package chat_test

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/examples/chat"
	"github.com/sioplug/sioplug/internal/require"
)

func mustIndex(t *testing.T, s chat.Site, u chat.User) string {
	t.Helper()
	page, err := s.Index(u)
	if err != nil {
		t.Fatal(err)
	}
	return html.UnescapeString(string(page))
}

func TestNamesOfUsers(t *testing.T) {
	srv := sio.New(nil)
	t.Cleanup(func() { _ = srv.Shutdown(context.Background()) }) // nobody is connected
	room := chat.Register(srv, func(*sio.Socket) chat.User { return chat.User{} })
	for in, want := range map[string]string{
		"Ann": "Ann", "  Ann   Lindqvist ": "Ann Lindqvist", "Łukasz O'Neill": "Łukasz O'Neill", "日本": "日本",
		"": "", " \t\n": "", "a\x00b": "", "right\u202eleft": "", "\xff": "", strings.Repeat("x", 25): "",
	} {
		got, err := room.NewUser(in)
		if got.Name != want || (err == nil) != (want != "") {
			t.Errorf("NewUser(%q) = %v, %v; want the name %q", in, got, err, want)
		}
		if status := chat.ErrorStatus(err); want == "" && status != http.StatusUnprocessableEntity {
			t.Errorf("NewUser(%q) goes with status %d, want 422", in, status)
		}
	}
}

func TestNamesCannotBeMarkup(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	page, err := chat.Site{}.Index(chat.User{ID: evil, Name: evil})
	if err != nil || strings.Contains(string(page), "<script>alert") {
		t.Errorf("the chat's page has the script, or failed: %v", err)
	}
	page, err = chat.Site{}.Login(evil, evil)
	if err != nil || strings.Contains(string(page), "<script>alert") {
		t.Errorf("the sign-in page has the script, or failed: %v", err)
	}
}

func TestClientComesFromTheServerOrTheCDN(t *testing.T) {
	const local, cdn = `src="/socket.io/socket.io.min.js"`, `src="https://cdn.socket.io/`
	tests := []struct {
		site chat.Site
		want string
		not  string
	}{
		{chat.Site{LocalClient: true}, local, "cdn.socket.io/4"},
		{chat.Site{}, cdn, local},
	}
	for _, tt := range tests {
		page := mustIndex(t, tt.site, chat.User{})
		if !strings.Contains(page, tt.want) || strings.Contains(page, tt.not) {
			t.Errorf("with LocalClient = %v the page has not %s, or has %s", tt.site.LocalClient, tt.want, tt.not)
		}
		if policy := tt.site.ContentSecurityPolicy(); strings.Contains(policy, "cdn.socket.io") == tt.site.LocalClient {
			t.Errorf("with LocalClient = %v the policy is %s", tt.site.LocalClient, policy)
		}
	}
	if chat.ClientFS(t.TempDir()) != nil {
		t.Error("ClientFS takes a folder without the client")
	}
}

// What the CDN serves must be what npm installs: the same version, and a digest
// computed from the installed file.
func TestCDNHasTheSameClient(t *testing.T) {
	require.NodePackages(t, "web")
	dir := filepath.Join("web", "node_modules", "socket.io-client")
	manifest, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var pkg struct{ Version string }
	if err := json.Unmarshal(manifest, &pkg); err != nil {
		t.Fatal(err)
	}
	if chat.ClientFS(filepath.Join(dir, "dist")) == nil {
		t.Fatal("ClientFS finds no client in the npm package")
	}
	client, err := os.ReadFile(filepath.Join(dir, "dist", "socket.io.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	digest := sha512.Sum384(client)

	page := mustIndex(t, chat.Site{}, chat.User{})
	want := `<script src="https://cdn.socket.io/` + pkg.Version + `/socket.io.min.js" integrity="sha384-` +
		base64.StdEncoding.EncodeToString(digest[:]) + `" crossorigin="anonymous" defer>`
	if !strings.Contains(page, want) {
		t.Errorf("the page has not %s", want)
	}
}
