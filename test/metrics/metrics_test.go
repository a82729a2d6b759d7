// Package metrics_test has a real Prometheus scrape a server while clients use it. It also
// checks the dashboard and the alerts of package sioprometheus.
package metrics_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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
	"github.com/sioplug/sioplug/test/internal/prometheustest"
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
	metrics := sioprometheus.New(nil)
	app := httptest.NewServer(application(t, metrics))
	t.Cleanup(app.Close)
	p := prometheustest.Start(t, 200*time.Millisecond, filepath.Join(folder, "alerts.yml"), strings.TrimPrefix(app.URL, "http://"))

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
		p.Await(t, query, want, nil)
	}
	p.Await(t, `count(ALERTS{alertname="SioplugHandlersFail",alertstate="firing",event="broken"})`, "1", func() {
		_, _ = sioclient.EmitWithAck[int](t.Context(), last, "broken")
	})
	checkDashboard(t, p)
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

// checkDashboard has Prometheus evaluate each query of the dashboard, and compares the names
// in the dashboard and the alerts with those that are exported.
func checkDashboard(t *testing.T, p prometheustest.Server) {
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
	queries, ids, taken := 0, make(map[int]bool), make(map[[2]int]string)
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || panel.Title == "" || panel.GridPos.W == 0 || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("the panel %d %q has no title or place of its own", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		for x := range panel.GridPos.W {
			for y := range panel.GridPos.H {
				at := [2]int{panel.GridPos.X + x, panel.GridPos.Y + y}
				if taken[at] != "" {
					t.Errorf("the panels %q and %q overlap", panel.Title, taken[at])
				}
				taken[at] = panel.Title
			}
		}
		for _, target := range panel.Targets {
			queries++
			expr := strings.NewReplacer("$__rate_interval", "10s", "$instance", ".*").Replace(target.Expr)
			if _, err := p.Query(expr); err != nil {
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
