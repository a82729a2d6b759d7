package postgresadapter_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster"
	postgresadapter "github.com/sioplug/sioplug/adapters/postgres"
	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/postgrestest"
)

// While PostgreSQL hangs or is away, the queue takes what it may and refuses the rest, which is
// counted. Requests end in time, and name who has not answered. Afterwards, what was taken arrives
// in order.
func TestTheQueueIsBoundedAndRequestsEnd(t *testing.T) {
	t.Parallel()
	for name, trouble := range postgrestest.Outages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := postgrestest.Start(t)
			const limit = 256 << 10
			o := postgresadapter.Options{Options: cluster.Options{MaxQueueBytes: limit}, ReadTimeout: time.Minute}
			a, b := join(t, newServer(connect(t, s.URL), o)), join(t, newServer(connect(t, s.URL), o))
			whole(t, a, b)
			end := trouble(s)
			began := time.Now()
			_, err := a.ask(300 * time.Millisecond)
			missing, ok := errors.AsType[*adapter.MissingError](err)
			if !ok || !slices.Equal(missing.Servers, []string{b.cluster.Status().Server}) || time.Since(began) > 5*time.Second {
				t.Errorf("asking: %v, after %v", err, time.Since(began))
			}
			const n = 1000
			text := strings.Repeat("x", 1000)
			var taken []string
			for i := range n {
				m := fmt.Sprint(i, text)
				switch err := a.Publish(event(m)); {
				case err == nil:
					taken = append(taken, m)
				case !errors.Is(err, cluster.ErrQueueFull):
					t.Fatal(err)
				}
			}
			st := a.cluster.Status()
			if st.QueuedBytes > limit || len(taken) == 0 || len(taken) == n || st.Lost < uint64(n-len(taken)) {
				t.Errorf("%d were taken, status %+v", len(taken), st)
			}
			end()
			for _, m := range taken {
				b.expect(m)
			}
			whole(t, a, b)
			if after := a.cluster.Status(); after.Lost > st.Lost+5 || after.QueuedBytes > 1000 { // heartbeats
				t.Errorf("status %+v, then %+v", st, after)
			}
		})
	}
}
