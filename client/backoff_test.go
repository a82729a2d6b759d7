package sioclient_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
	"github.com/sioplug/sioplug/core/siotest"
)

var errRefused = errors.New("connection refused")

// attempts returns when a client without a server dials, since the beginning.
func attempts(t *testing.T, n int, o sioclient.Options) (at []time.Duration) {
	t.Helper()
	start := time.Now()
	var mu sync.Mutex
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(at)
	}
	o.Logger = quiet()
	o.DialContext = func(context.Context, string, string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		at = append(at, time.Since(start))
		return nil, errRefused
	}
	s, err := sioclient.New("http://nobody.test", &o)
	if err != nil {
		t.Fatal(err)
	}
	s.Open()
	for synctest.Wait(); count() < n; synctest.Wait() {
		time.Sleep(time.Second)
	}
	s.Disconnect()
	synctest.Wait()
	before := count()
	time.Sleep(time.Hour)
	if after := count(); after != before {
		t.Errorf("%d attempts after Disconnect", after-before)
	}
	return at
}

func TestCLI_RC_2_RC_3_BackOff(t *testing.T) {
	t.Parallel()
	second := time.Second
	for name, tt := range map[string]struct {
		o    sioclient.Options
		want []time.Duration
	}{
		"defaults": {
			sioclient.Options{RandomizationFactor: -1},
			[]time.Duration{0, second, 3 * second, 7 * second, 12 * second, 17 * second, 22 * second},
		},
		"of its own": {
			sioclient.Options{RandomizationFactor: -1, ReconnectionDelay: 3 * second, ReconnectionDelayMax: 7 * second},
			[]time.Duration{0, 3 * second, 9 * second, 16 * second, 23 * second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if got := attempts(t, len(tt.want), tt.o); !slices.Equal(got, tt.want) {
					t.Errorf("%v, want %v", got, tt.want)
				}
			})
		})
	}
}

// With the defaults, the first delay is from 0.5 to 1.5 s, and none is above 5 s.
func TestCLI_RC_1_RC_5_Jitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var low, high bool
		for range 200 {
			at := attempts(t, 6, sioclient.Options{})
			first := at[1] - at[0]
			if first < 500*time.Millisecond || first > 1500*time.Millisecond {
				t.Errorf("the first delay is %v", first)
			}
			low, high = low || first < 700*time.Millisecond, high || first > 1300*time.Millisecond
			if last := at[5] - at[4]; last != 5*time.Second {
				t.Errorf("a late delay is %v", last)
			}
		}
		if !low || !high {
			t.Error("the delays are not spread over the range")
		}
	})
}

// A server that falls silent is noticed pingInterval + pingTimeout after its last ping.
func TestCLI_TR_11_Watchdog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := siotest.Pipes(t, newServer(nil))
		dial := d.Dial
		var silent atomic.Bool
		d.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if silent.Load() {
				return nil, errRefused
			}
			c, err := dial(ctx, network, address)
			return &silentConn{Conn: c, silent: &silent}, err
		}
		s := newSocket(t, d, "/", sioclient.Options{})
		lost := make(chan sioclient.Reason, 1)
		s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { lost <- r })
		start := time.Now()
		if err := s.Connect(within(t)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25*time.Second + time.Millisecond) // a ping has come
		silent.Store(true)
		if r := <-lost; r != sioclient.ReasonPingTimeout || time.Since(start) != 70*time.Second {
			t.Errorf("%q after %v", r, time.Since(start))
		}
		s.Disconnect()
	})
}

// A silentConn swallows what comes while silent is set.
type silentConn struct {
	net.Conn

	silent *atomic.Bool
}

func (c *silentConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if !c.silent.Load() || err != nil {
			return n, err
		}
	}
}

// An idle client stays connected for hours, over all transports.
func TestIdle(t *testing.T) {
	t.Parallel()
	for name, o := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSocket(t, siotest.Pipes(t, newServer(nil)), "/", o)
				if err := s.Connect(context.Background()); err != nil {
					t.Fatal(err)
				}
				id := s.ID()
				time.Sleep(3 * time.Hour)
				if s.ID() != id {
					t.Error("the client has connected again")
				}
				start := time.Now()
				shutdown(t, s)
				if took := time.Since(start); took > 0 { // a connection in memory cannot be half-closed
					t.Errorf("Shutdown took %v", took)
				}
				time.Sleep(time.Minute) // the server waits for a late poll
			})
		})
	}
}
