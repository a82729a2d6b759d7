//go:build unix

package proxies_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/sioplug/sioplug/internal/require"
)

// clientAddress is an address of the clients that is not the proxy's.
const clientAddress = "127.0.0.2"

// TestDeploymentBehindNginx runs the program of docs/deployment.md behind nginx with the
// configuration of that page.
func TestDeploymentBehindNginx(t *testing.T) {
	t.Parallel()
	nginx := require.Tool(t, "nginx")
	dir, keys, app := t.TempDir(), certificate(t), startApp(t)
	proxy, redirect := freePort(t), freePort(t)
	config := replace(t, block(t, "nginx"), map[string]string{
		"user www-data;":              ownUser(),
		"worker_rlimit_nofile 65536;": "", // it may be above this machine's limit
		"worker_connections 32768;":   "worker_connections 256;",
		"http {":                      "http {\n" + nginxPaths(dir),
		"server 127.0.0.1:8080;":      "server " + app + ";",
		"listen 80;":                  "listen " + redirect + ";",
		"listen 443 ssl;":             "listen " + proxy + " ssl;",
		"/etc/ssl/example.com/":       keys + "/",
	})
	//nolint:noctx // it is stopped by a signal, not by the end of a context
	start(t, proxy, exec.Command(nginx, "-p", dir, "-e", "stderr", "-c", write(t, dir, "nginx.conf", config),
		"-g", "daemon off; pid "+filepath.Join(dir, "pid")+";"), syscall.SIGTERM)
	runClient(t, proxy, keys)
}

// TestDeploymentBehindHAProxy does the same with HAProxy.
func TestDeploymentBehindHAProxy(t *testing.T) {
	t.Parallel()
	haproxy := require.Tool(t, "haproxy")
	dir, keys, app := t.TempDir(), certificate(t), startApp(t)
	proxy := freePort(t)
	config := replace(t, block(t, "haproxy"), map[string]string{
		"maxconn 50000":        "maxconn 100",
		"bind :443":            "bind " + proxy,
		"/etc/ssl/example.com": keys,
		"127.0.0.1:8080 check": app + " check",
	})
	//nolint:noctx // it is stopped by a signal, not by the end of a context
	start(t, proxy, exec.Command(haproxy, "-db", "-f", write(t, dir, "haproxy.cfg", config)), syscall.SIGUSR1)
	runClient(t, proxy, keys)
}

// runClient runs the official client through the proxy, whose certificate is in the
// folder keys.
func runClient(t *testing.T, proxy, keys string) {
	t.Helper()
	node := require.Tool(t, "node")
	require.NodePackages(t, "../interop")
	interop, err := filepath.Abs("../interop")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := exec.CommandContext(ctx, node, "client.mjs", interop, "https://"+proxy, clientAddress)
	client.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+filepath.Join(keys, "fullchain.pem"))
	if out, err := client.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Errorf("the client: %v\n%s", err, out)
	}
}

// block returns the first block of docs/deployment.md in that language.
func block(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(text)
	if found == nil {
		t.Fatalf("docs/deployment.md has no block of %s", language)
	}
	return string(found[1])
}

// replace puts paths and ports of this machine into a configuration, each of which has
// to be there.
func replace(t *testing.T, text string, with map[string]string) string {
	t.Helper()
	for before, after := range with {
		if !strings.Contains(text, before) {
			t.Fatalf("docs/deployment.md has no %q in:\n%s", before, text)
		}
		text = strings.ReplaceAll(text, before, after)
	}
	return text
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ownUser is the directive by which nginx's workers can read the test's folder. Without
// the rights of root, they run as the same user anyway.
func ownUser() string {
	if os.Geteuid() == 0 {
		return "user root;"
	}
	return ""
}

// nginxPaths are directives that keep nginx from writing elsewhere.
func nginxPaths(dir string) string {
	var out strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		out.WriteString(kind + "_temp_path " + filepath.Join(dir, kind) + ";\n")
	}
	out.WriteString("access_log off;\n")
	return out.String()
}

// startApp builds and starts the program of docs/deployment.md, and returns its address.
func startApp(t *testing.T) string {
	t.Helper()
	dir, addr := t.TempDir(), freePort(t)
	program := filepath.Join(dir, "app")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, write(t, dir, "main.go", block(t, "go")))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	app := exec.Command(program) //nolint:noctx // it is stopped by a signal, not by the end of a context
	app.Env = append(os.Environ(), "ADDR="+addr, "GIN_MODE=release")
	start(t, addr, app, syscall.SIGTERM)
	return addr
}
