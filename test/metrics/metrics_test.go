// Package metrics_test has a real Prometheus scrape a server while clients use it. It also
// checks the dashboard and the alerts of package sioprometheus.
package metrics_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
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

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/goleak"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	siogin "github.com/sioplug/sioplug/integrations/gin"
	"github.com/sioplug/sioplug/internal/require"
	sioprometheus "github.com/sioplug/sioplug/observe/prometheus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = time.Minute
	folder   = "../../observe/prometheus"
)

// TestAlertRules runs promtool on the alerts and on their tests.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	promtool := require.Tool(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
	}
}

// TestPrometheus: what a real Prometheus has scraped is what clients did. The queries of the
// dashboard are accepted by it, and an alert fires.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	program := require.Tool(t, "prometheus")
	metrics := sioprometheus.New(nil)
	app := httptest.NewServer(application(t, metrics))
	t.Cleanup(app.Close)
	p := start(t, program, strings.TrimPrefix(app.URL, "http://"))

	const clients, events, refused = 3, 20, 5
	var last *sioclient.Socket
	for range clients {
		s := connect(t, app.URL)
		for i := range events {
			if _, err := sioclient.EmitWithAck[int](t.Context(), s, "add", i); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Emit("made up"); err != nil {
			t.Fatal(err)
		}
		if _, err := sioclient.EmitWithAck[int](t.Context(), s, "broken"); err == nil {
			t.Error("the broken event has an ack")
		}
		last = s
	}
	for range refused {
		resp, err := app.Client().Get(app.URL + "/socket.io/?EIO=4&transport=tobi")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	for query, want := range map[string]string{
		`sum(sioplug_sessions)`:                                         "3",
		`sioplug_sockets`:                                               "3",
		`sum(sioplug_sessions_opened_total)`:                            "3",
		`sioplug_events_total{event="add",outcome="ok"}`:                "60",
		`sioplug_events_total{event="other",outcome="ok"}`:              "3",
		`sioplug_events_total{event="broken",outcome="internal_error"}`: "3",
		`sioplug_handler_duration_seconds_count{event="add"}`:           "60",
		`sioplug_requests_refused_total{code="0"}`:                      "5",
		`sioplug_received_packets_total >= bool 3 * 23`:                 "1", // CONNECT and 22 events of each, and probes
		`count(ALERTS) or vector(0)`:                                    "0",
	} {
		p.await(t, query, want, nil)
	}
	p.await(t, `count(ALERTS{alertname="SioplugHandlersFail",alertstate="firing",event="broken"})`, "1", func() {
		_, _ = sioclient.EmitWithAck[int](t.Context(), last, "broken")
	})
	p.checkDashboard(t)
}

// application returns a Gin application with a server and its metrics.
func application(t *testing.T, metrics *sioprometheus.Metrics) http.Handler {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	srv := sio.New(&sio.Options{Observers: []*sio.Observer{metrics.Observer()}, Logger: slog.New(slog.DiscardHandler)})
	srv.On("add", sio.Reply(func(_ *sio.Ctx, n int) (int, error) { return n + 1, nil }))
	srv.On("broken", func(*sio.Ctx) error { return errors.New("broken") })
	r := gin.New()
	siogin.Mount(r, srv)
	r.GET("/metrics", gin.WrapH(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

// connect connects a client, which is closed at the end of the test.
func connect(t *testing.T, url string) *sioclient.Socket {
	t.Helper()
	s, err := sioclient.New(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = s.Manager().Shutdown(ctx)
	})
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// A server is a running Prometheus.
type server struct{ url string }

// config has it scrape one target. %s are the target and the file of alerts.
const config = `
global: {scrape_interval: 200ms, evaluation_interval: 200ms}
rule_files: [%q]
scrape_configs:
  - job_name: sioplug
    static_configs: [{targets: [%q]}]
`

// start runs Prometheus with the alerts, whose times are shorter here.
func start(t *testing.T, program, target string) server {
	t.Helper()
	dir := t.TempDir()
	alerts, err := os.ReadFile(filepath.Join(folder, "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	alerts = bytes.ReplaceAll(alerts, []byte("[5m]"), []byte("[10s]"))
	alerts = regexp.MustCompile(`for: \d+m`).ReplaceAll(alerts, []byte("for: 0s"))
	rules, file := filepath.Join(dir, "alerts.yml"), filepath.Join(dir, "prometheus.yml")
	for name, content := range map[string][]byte{rules: alerts, file: fmt.Appendf(nil, config, rules, target)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The port is below the range of outgoing connections, so nobody else takes it.
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+mathrand.IntN(10_000)))
	cmd := exec.Command(program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("prometheus ended: %v\n%s", err, &out)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	p := server{"http://" + address}
	p.await(t, "vector(1)", "1", nil)
	return p
}

// An answer is one of the API for queries.
type answer struct {
	Error string
	Data  struct{ Result []struct{ Value [2]any } }
}

// query asks for the values of an expression. The error is that of the expression or the
// connection.
func (p server) query(expr string) (values []string, err error) {
	resp, err := http.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(expr))
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

// await asks until the expression has the value. Before each further query it calls again,
// if that is not nil.
func (p server) await(t *testing.T, expr, want string, again func()) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		got, err := p.query(expr)
		if err == nil && slices.Equal(got, []string{want}) {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s is %q (%v), want %s", expr, got, err, want)
			return
		}
		if again != nil {
			again()
		}
		<-time.After(50 * time.Millisecond)
	}
}

// checkDashboard has Prometheus evaluate each query of the dashboard, and compares the names
// in the dashboard and the alerts with those that are exported.
func (p server) checkDashboard(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		SchemaVersion int
		Panels        []struct {
			ID          int
			Type, Title string
			GridPos     struct{ H, W, X, Y int }
			Targets     []struct{ RefID, Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	queries, ids := 0, make(map[int]bool)
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || panel.Title == "" || panel.GridPos.W == 0 || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("the panel %d %q has no title or place of its own", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			queries++
			expr := strings.NewReplacer("$__rate_interval", "10s", "$instance", ".*").Replace(target.Expr)
			if _, err := p.query(expr); err != nil {
				t.Errorf("%s: %s: %v", panel.Title, target.Expr, err)
			}
		}
	}
	if queries < 30 || dashboard.SchemaVersion == 0 {
		t.Errorf("only %d queries, schema %d", queries, dashboard.SchemaVersion)
	}
}

// TestNames: the dashboard, the alerts and docs/metrics.md name the metrics that there are.
// The dashboard and the document name all of them.
func TestNames(t *testing.T) {
	t.Parallel()
	exported := make(map[string]bool)
	descs := make(chan *prometheus.Desc, 100)
	sioprometheus.New(nil).Describe(descs)
	close(descs)
	for d := range descs {
		exported[regexp.MustCompile(`fqName: "([a-z_]+)"`).FindStringSubmatch(d.String())[1]] = true
	}
	for file, all := range map[string]bool{
		filepath.Join(folder, "dashboard.json"): true,
		filepath.Join(folder, "alerts.yml"):     false,
		"../../docs/metrics.md":                 true,
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		named := make(map[string]bool)
		for _, name := range regexp.MustCompile(`\bsioplug_[a-z_]+`).FindAllString(string(text), -1) {
			if name = strings.TrimSuffix(name, "_bucket"); !exported[name] {
				t.Errorf("%s names %s, which is not exported", file, name)
			}
			named[name] = true
		}
		for name := range exported {
			if all && !named[name] {
				t.Errorf("%s lacks %s", file, name)
			}
		}
	}
}
