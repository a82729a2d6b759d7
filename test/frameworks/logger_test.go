package frameworks_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	chimw "github.com/go-chi/chi/v5/middleware"
	fiber2logger "github.com/gofiber/fiber/v2/middleware/logger"
	fiber3logger "github.com/gofiber/fiber/v3/middleware/logger"
	echo4 "github.com/labstack/echo/v4"
	echo4mw "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	echo5mw "github.com/labstack/echo/v5/middleware"

	"github.com/sioplug/sioplug/core/siotest"
)

// lines are what a logger writes, which it may do after the client was answered.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// want waits for the next line and fails the test unless it has these parts.
func (l lines) want(t *testing.T, parts ...string) {
	t.Helper()
	select {
	case line := <-l:
		for _, part := range parts {
			if !strings.Contains(line, part) {
				t.Errorf("log has no %q: %s", part, line)
			}
		}
	case <-time.After(time.Minute):
		t.Fatal("nothing is logged")
	}
}

// chiLines is a format for chi's logger.
type chiLines struct {
	lines

	method string
}

func (l chiLines) NewLogEntry(r *http.Request) chimw.LogEntry { return chiLines{l.lines, r.Method} }

func (l chiLines) Write(status, _ int, _ http.Header, _ time.Duration, _ any) {
	_, _ = fmt.Fprintln(l.lines, l.method, status) // a channel takes all
}

func (chiLines) Panic(any, []byte) {}

// Loggers have a line for each request of a client that polls, with the status
// of its answer; and one for a WebSocket, when it was upgraded and not when it
// ends.
func TestLoggers(t *testing.T) {
	logged := make(lines, 100)
	mounts{
		"gin": onGin(gin.LoggerWithFormatter(func(p gin.LogFormatterParams) string {
			_, _ = fmt.Fprintln(logged, p.Method, p.StatusCode)
			return ""
		})),
		"echo": onEcho(echo4mw.RequestLoggerWithConfig(echo4mw.RequestLoggerConfig{
			LogStatus: true, LogMethod: true,
			LogValuesFunc: func(_ echo4.Context, v echo4mw.RequestLoggerValues) error {
				_, err := fmt.Fprintln(logged, v.Method, v.Status)
				return err
			},
		})),
		"echov5": onEchoV5(echo5mw.RequestLoggerWithConfig(echo5mw.RequestLoggerConfig{
			LogStatus: true, LogMethod: true,
			LogValuesFunc: func(_ *echo5.Context, v echo5mw.RequestLoggerValues) error {
				_, err := fmt.Fprintln(logged, v.Method, v.Status)
				return err
			},
		})),
		"fiber":   onFiber(fiber2logger.New(fiber2logger.Config{Output: logged, Format: "${method} ${status}\n"})),
		"fiberv3": onFiberV3(fiber3logger.New(fiber3logger.Config{Stream: logged, Format: "${method} ${status}\n"})),
		"chi":     onChi(chimw.RequestLogger(chiLines{lines: logged})),
	}.each(t, func(t *testing.T, mount siotest.Mount) {
		_, d := mount.Serve(t, nil, echo)
		p := d.Polling(t)
		logged.want(t, "GET 200")
		p.Send("40")
		logged.want(t, "POST 200")
		if got := poll(t, d, "unknown"); got.status != http.StatusBadRequest {
			t.Errorf("status %d", got.status)
		}
		logged.want(t, "GET 400")
		c := d.WebSocket(t)
		if strings.HasSuffix(t.Name(), "/chi") {
			logged.want(t, "GET 0") // chi does not see the answer on a hijacked connection
		} else {
			logged.want(t, "GET 101")
		}
		mustEcho(t, c)
		if got := p.Next(); !strings.HasPrefix(got, "40") {
			t.Errorf("answer to CONNECT: %s", got)
		}
		logged.want(t, "GET 200")
		p.Abort()
		logged.want(t, "GET 499")
		if len(logged) > 0 {
			t.Errorf("also logged: %s", <-logged)
		}
	})
}
