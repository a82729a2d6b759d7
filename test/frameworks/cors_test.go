package frameworks_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	gincors "github.com/gin-contrib/cors"
	chicors "github.com/go-chi/cors"
	fiber2cors "github.com/gofiber/fiber/v2/middleware/cors"
	fiber3cors "github.com/gofiber/fiber/v3/middleware/cors"
	echo4mw "github.com/labstack/echo/v4/middleware"
	echo5mw "github.com/labstack/echo/v5/middleware"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

const page = "https://page.test"

// corsAround lets pages of that origin in, by the frameworks' own means.
var corsAround = mounts{
	"gin": onGin(gincors.New(gincors.Config{
		AllowOrigins: []string{page}, AllowMethods: []string{"GET", "POST"}, AllowCredentials: true, AllowHeaders: []string{"Content-Type"},
	})),
	"echo":    onEcho(echo4mw.CORSWithConfig(echo4mw.CORSConfig{AllowOrigins: []string{page}, AllowCredentials: true})),
	"echov5":  onEchoV5(echo5mw.CORSWithConfig(echo5mw.CORSConfig{AllowOrigins: []string{page}, AllowCredentials: true})),
	"fiber":   onFiber(fiber2cors.New(fiber2cors.Config{AllowOrigins: page, AllowCredentials: true})),
	"fiberv3": onFiberV3(fiber3cors.New(fiber3cors.Config{AllowOrigins: []string{page}, AllowCredentials: true})),
	"chi": onChi(chicors.Handler(chicors.Options{
		AllowedOrigins: []string{page}, AllowedMethods: []string{"GET", "POST"}, AllowCredentials: true,
	})),
}

// mustAllow fails the test unless each header that lets the page in is there
// once: browsers take two of them for none.
func mustAllow(t *testing.T, what string, got answer, status ...int) {
	t.Helper()
	for k, want := range map[string]string{"Access-Control-Allow-Origin": page, "Access-Control-Allow-Credentials": "true"} {
		if h := strings.Join(got.header[k], " and "); h != want {
			t.Errorf("%s: %s: %q, want %q", what, k, h, want)
		}
	}
	if !slices.Contains(status, got.status) {
		t.Errorf("%s: status %d, want %v", what, got.status, status)
	}
}

// A framework's CORS does for polling, as for every other route. A WebSocket it
// cannot let in, as that is not asked by browsers' rules but by ours, and the log
// says what to set.
func TestCORSOfTheFramework(t *testing.T) {
	corsAround.each(t, func(t *testing.T, mount siotest.Mount) {
		var log bytes.Buffer
		_, d := mount.Serve(t, &sio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, echo)
		mustAllow(t, "preflight", fetch(t, d, http.MethodOptions, d.Endpoint("EIO", "4", "transport", "polling"), "",
			"Origin", page, "Access-Control-Request-Method", "POST"), http.StatusOK, http.StatusNoContent)
		mustAllow(t, "handshake", open(t, d, "polling", "Origin", page), http.StatusOK)
		mustAllow(t, "error", poll(t, d, "unknown", "Origin", page), http.StatusBadRequest)
		if got := open(t, d, "websocket", "Origin", page); got.status != http.StatusForbidden {
			t.Errorf("websocket: status %d", got.status)
		}
		if !strings.Contains(log.String(), "add its origin to Options.CORS") {
			t.Errorf("log: %s", log.String())
		}
	})
}

// With both, ours counts for what is ours.
func TestCORSOfBoth(t *testing.T) {
	corsAround.each(t, func(t *testing.T, mount siotest.Mount) {
		_, d := mount.Serve(t, &sio.Options{CORS: &sio.CORS{Origins: []string{page}, Credentials: true}}, echo)
		mustAllow(t, "preflight", fetch(t, d, http.MethodOptions, d.Endpoint("EIO", "4", "transport", "polling"), "",
			"Origin", page, "Access-Control-Request-Method", "POST"), http.StatusOK, http.StatusNoContent)
		mustAllow(t, "handshake", open(t, d, "polling", "Origin", page), http.StatusOK)
		mustAllow(t, "error", poll(t, d, "unknown", "Origin", page), http.StatusBadRequest)
		mustAllow(t, "websocket", open(t, d, "websocket", "Origin", page), http.StatusSwitchingProtocols)
	})
}
