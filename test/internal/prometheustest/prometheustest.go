// Package prometheustest runs a real Prometheus for tests.
package prometheustest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/require"
)

// patience is how long a query may take to have the value that is expected.
const patience = time.Minute

// A Server is a running Prometheus.
type Server struct{ url string }

// Start runs Prometheus until the end of the test. It scrapes the targets, which are
// addresses with a port, at each interval. The file of alerts may be ""; their times are
// shorter here, so that they fire at once.
func Start(tb testing.TB, interval time.Duration, alerts string, targets ...string) Server {
	tb.Helper()
	program := require.Tool(tb, "prometheus")
	dir := tb.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	write(tb, file, config(tb, dir, interval, alerts, targets))
	// The port is below the range of outgoing connections, so nobody else takes it.
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+mathrand.IntN(10_000)))
	cmd := exec.Command(program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || tb.Failed() {
			tb.Logf("prometheus ended: %v\n%s", err, &out)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	s := Server{"http://" + address}
	s.Await(tb, "vector(1)", "1", nil)
	return s
}

func config(tb testing.TB, dir string, interval time.Duration, alerts string, targets []string) []byte {
	tb.Helper()
	quoted := make([]string, len(targets))
	for i, t := range targets {
		quoted[i] = strconv.Quote(t)
	}
	text := fmt.Appendf(nil, "global: {scrape_interval: %s, evaluation_interval: %[1]s}\n", interval)
	text = fmt.Appendf(text, "scrape_configs: [{job_name: sioplug, static_configs: [{targets: [%s]}]}]\n", strings.Join(quoted, ", "))
	if alerts == "" {
		return text
	}
	rules, err := os.ReadFile(alerts)
	if err != nil {
		tb.Fatal(err)
	}
	rules = bytes.ReplaceAll(rules, []byte("[5m]"), []byte("[10s]"))
	rules = regexp.MustCompile(`for: \d+m`).ReplaceAll(rules, []byte("for: 0s"))
	copied := filepath.Join(dir, "alerts.yml")
	write(tb, copied, rules)
	return fmt.Appendf(text, "rule_files: [%q]\n", copied)
}

func write(tb testing.TB, file string, content []byte) {
	tb.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// An answer is one of the API for queries.
type answer struct {
	Error string
	Data  struct{ Result []struct{ Value [2]any } }
}

// Query asks for the values of an expression. The error is that of the expression or the
// connection.
func (s Server) Query(expr string) (values []string, err error) {
	resp, err := http.Get(s.url + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return nil, fmt.Errorf("status %d: %w", resp.StatusCode, err)
	}
	if a.Error != "" {
		return nil, errors.New(a.Error)
	}
	for _, r := range a.Data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values, nil
}

// Await asks until the expression has the value. Before each further query it calls again,
// if that is not nil.
func (s Server) Await(tb testing.TB, expr, want string, again func()) {
	tb.Helper()
	for deadline := time.Now().Add(patience); ; {
		got, err := s.Query(expr)
		if err == nil && slices.Equal(got, []string{want}) {
			return
		}
		if time.Now().After(deadline) {
			tb.Errorf("%s is %q (%v), want %s", expr, got, err, want)
			return
		}
		if again != nil {
			again()
		}
		<-time.After(50 * time.Millisecond)
	}
}
