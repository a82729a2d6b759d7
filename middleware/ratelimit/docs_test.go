package ratelimit_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/middleware/ratelimit"
)

// The table of refusals in docs/ratelimit.md is what clients see.
func TestRefusalsInTheDocs(t *testing.T) {
	t.Parallel()
	ann := func(*sio.Socket) string { return "ann" }
	event := func(mw sio.Middleware) func(t *testing.T, n network, ns *sio.Namespace) error {
		return func(t *testing.T, n network, ns *sio.Namespace) error {
			t.Helper()
			ns.On("post", sio.Reply(func(c *sio.Ctx, _ struct{}) (bool, error) { return true, c.Join("a") }), mw)
			p := n.Connect(t, ns.Name(), nil)
			return errors.Join(p.Ask("post").Err(), p.Ask("post").Err())
		}
	}
	connect := func(mw sio.Middleware) func(t *testing.T, n network, ns *sio.Namespace) error {
		return func(t *testing.T, n network, ns *sio.Namespace) error {
			t.Helper()
			ns.UseConnect(mw)
			n.Connect(t, ns.Name(), nil)
			_, err := n.TryConnect(t, ns.Name(), nil)
			return err
		}
	}
	bubble(t, nil, func(t *testing.T, n network) {
		two := ratelimit.Cost(func(*sio.Ctx) int { return 2 })
		quiet := ratelimit.Logger(slog.New(slog.DiscardHandler))
		var table strings.Builder
		for i, tt := range []struct {
			situation string
			refuse    func(t *testing.T, n network, ns *sio.Namespace) error
		}{
			{"too many events", event(ratelimit.PerSocket(1, time.Hour))},
			{"too many connects", connect(ratelimit.PerIP(1, time.Hour))},
			{"an event that costs more than a full bucket", event(ratelimit.PerSocket(1, time.Hour, two))},
			{"too many sockets of an address", connect(ratelimit.MaxPerIP(1))},
			{"too many sockets of a user", connect(ratelimit.MaxPerUser(ann, 1))},
			{"too many rooms", event(ratelimit.MaxRooms(1))},
			{"too many events in their handlers", event(occupied(ratelimit.InFlight(1)))},
			{"the limiter fails", event(ratelimit.PerIP(1, time.Hour, ratelimit.In(broken{}, "x"), quiet))},
		} {
			err := tt.refuse(t, n, n.srv.Of(fmt.Sprint("/", i)))
			e, ok := errors.AsType[*sio.Error](err)
			if !ok {
				t.Fatalf("%s: %v", tt.situation, err)
			}
			data, _ := e.Data.(map[string]any)
			retry := "no"
			if data["retryAfter"] != nil {
				retry = "yes"
			}
			fmt.Fprintf(&table, "| %s | `%s` | `%v` | %s |\n", tt.situation, e.Message, data["code"], retry)
		}
		text, err := os.ReadFile("../../docs/ratelimit.md")
		if err != nil {
			t.Fatal(err)
		}
		_, rows, _ := strings.Cut(string(text), "<!-- checked: refusals -->\n")
		rows, _, _ = strings.Cut(rows, "\n\n")
		if lines := strings.SplitN(rows, "\n", 3); len(lines) < 3 || lines[2]+"\n" != table.String() {
			t.Errorf("the table should have these rows:\n%s", &table)
		}
	})
}
