package firsthour_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A project is the folder of an application.
type project struct {
	dir string
	env []string
}

func newProject(t *testing.T, env []string) *project {
	t.Helper()
	p := &project{dir: t.TempDir(), env: env}
	p.write(t, "go.mod", "module app\n\ngo 1.26.0\n")
	return p
}

func (p *project) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command in the folder and returns what it prints.
func (p *project) run(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stderr = p.dir, p.env, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s\n%s", strings.Join(args, " "), err, out, &stderr, read(t, filepath.Join(p.dir, "main.go")))
	}
	return string(out)
}

// useCheckout makes the project build sioplug from this checkout.
func (p *project) useCheckout(t *testing.T) {
	t.Helper()
	for _, module := range modules {
		p.run(t, "go", "mod", "edit", "-replace", module+"="+filepath.Join(checkout(t), strings.TrimPrefix(module, sioplug)))
	}
}

// modules returns the versions of all modules that the application has.
func (p *project) modules(t *testing.T) map[string]string {
	t.Helper()
	modules := make(map[string]string)
	for line := range strings.Lines(p.run(t, "go", "list", "-m", "-f", "{{if not .Main}}{{.Path}} {{.Version}}{{end}}", "all")) {
		if path, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			modules[path] = version
		}
	}
	return modules
}

// serve runs the application until the test ends, and returns its address, and what it
// answers to a GET request with a token.
func (p *project) serve(t *testing.T, path, token string) (url, answer string) {
	t.Helper()
	for range 3 { // the port may be somebody else's by then
		if url, answer, ok := p.start(t, path, token); ok {
			return url, answer
		}
	}
	t.Fatal("the application does not listen")
	return "", ""
}

func (p *project) start(t *testing.T, path, token string) (url, answer string, ok bool) {
	t.Helper()
	addr := freeAddress(t)
	var out lockedBuffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(p.dir, "after"))
	cmd.Dir, cmd.Env = p.dir, slices.Concat(p.env, []string{"ADDRESS=" + addr})
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = cmd.Wait() // it is killed
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it fails if it has ended
		<-stopped
		if t.Failed() {
			t.Logf("the application:\n%s", out.String())
		}
	})
	url = "http://" + addr
	ok = wait(t.Context(), stopped, func() (ok bool) {
		answer, ok = get(t, url+path, token)
		return ok
	})
	if !ok && !strings.Contains(out.String(), "address already in use") {
		t.Fatalf("the application ended:\n%s", out.String())
	}
	return url, answer, ok
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get returns the body of an answer, if there is one.
func get(t *testing.T, url, token string) (body string, ok bool) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", false
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err == nil
}

// A lockedBuffer is written and read by different goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
