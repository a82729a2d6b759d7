package redisadapter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// writeChunk is how much is written at once, so that a slow Redis that goes on reading is
// not taken for one that hangs.
const writeChunk = 256 << 10

var errTaken = errors.New("redisadapter: the connection is not go-redis's any more")

// A server is a Redis server, and how to connect to it.
type server struct {
	options     *redis.Options // of the application's client
	readTimeout time.Duration
}

// A conn is a connection with a Redis server. It implements [io.Reader].
type conn struct {
	net.Conn

	client  *redis.Client // which has opened it, and has no other
	timeout time.Duration
}

// dial opens a connection. go-redis does that, with all that the application's client is
// configured with: addresses, Sentinel, TLS, credentials. Then it leaves the connection to
// the caller. When ctx ends, dial returns; it does not matter for the connection.
func (s *server) dial(ctx context.Context) (*conn, error) {
	o := *s.options
	dial := o.Dialer
	var last atomic.Pointer[handover]
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		h := &handover{Conn: c}
		last.Store(h)
		return h, nil
	}
	forgetShared(&o)
	o.Protocol = 2
	o.MaxRetries, o.Limiter, o.ContextTimeoutEnabled = -1, nil, true
	o.ReadTimeout, o.WriteTimeout = s.readTimeout, s.readTimeout
	o.PoolSize, o.MinIdleConns, o.MaxIdleConns, o.MaxActiveConns = 1, 0, 0, 0
	o.ConnMaxIdleTime, o.ConnMaxLifetime = -1, 0
	client := redis.NewClient(&o)

	stop := context.AfterFunc(ctx, func() {
		if h := last.Load(); h != nil {
			_ = h.Close() // go-redis does not look at ctx while it reads
		}
	})
	err := s.open(ctx, client)
	if stop(); ctx.Err() != nil {
		err = cmp.Or(err, context.Cause(ctx))
	}
	h := last.Load()
	if err == nil && (h == nil || h.taken.Swap(true)) {
		err = errTaken
	}
	if err == nil {
		err = h.Conn.SetDeadline(time.Time{}) // that of the last command of go-redis would end it
	}
	if err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("redisadapter: connecting to Redis: %w", err)
	}
	return &conn{Conn: h.Conn, client: client, timeout: s.readTimeout}, nil
}

// forgetShared clears the options that point to what the application's client changes while
// it runs. Later versions of go-redis than the required one have them. The new client makes
// its own.
func forgetShared(o *redis.Options) {
	for _, name := range []string{"MaintNotificationsConfig", "PushNotificationProcessor"} {
		if field := reflect.ValueOf(o).Elem().FieldByName(name); field.IsValid() {
			field.SetZero()
		}
	}
}

// open has the client open its connection, and keep it.
func (s *server) open(ctx context.Context, client *redis.Client) error {
	c := client.Conn()
	if err := c.Ping(ctx).Err(); err != nil && !strings.HasPrefix(err.Error(), "NOPERM") {
		return err
	}
	if s.options.Addr != failoverAddr {
		return nil
	}
	// Sentinel may still name the former master, on which nobody would get a message.
	role := redis.NewSliceCmd(ctx, "ROLE")
	if c.Process(ctx, role) == nil && len(role.Val()) > 0 && role.Val()[0] == "slave" {
		return errors.New("the server that Sentinel names is no master")
	}
	return nil
}

// failoverAddr is the address in the options of a client that uses Sentinel.
const failoverAddr = "FailoverClient"

// write writes all of b. It fails when Redis has read nothing for the time of the read
// timeout. It returns how much was written.
func (c *conn) write(b []byte) (written int, err error) {
	for written < len(b) {
		if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return written, err
		}
		n, err := c.Write(b[written:min(written+writeChunk, len(b))])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// Close closes the connection.
func (c *conn) Close() error {
	err := c.Conn.Close()
	_ = c.client.Close() // which says that the connection is closed already
	return err
}

// A handover is a connection that go-redis opens. When it is taken, go-redis can only close
// it.
type handover struct {
	net.Conn

	taken  atomic.Bool
	closed atomic.Bool
}

func (h *handover) Read(b []byte) (int, error) {
	if h.taken.Load() {
		return 0, errTaken
	}
	return h.Conn.Read(b)
}

func (h *handover) Write(b []byte) (int, error) {
	if h.taken.Load() {
		return 0, errTaken
	}
	return h.Conn.Write(b)
}

func (h *handover) Close() error {
	if h.closed.Swap(true) {
		return nil
	}
	return h.Conn.Close()
}

func (h *handover) SetDeadline(t time.Time) error {
	if h.taken.Load() {
		return errTaken
	}
	return h.Conn.SetDeadline(t)
}

func (h *handover) SetReadDeadline(t time.Time) error {
	if h.taken.Load() {
		return errTaken
	}
	return h.Conn.SetReadDeadline(t)
}

func (h *handover) SetWriteDeadline(t time.Time) error {
	if h.taken.Load() {
		return errTaken
	}
	return h.Conn.SetWriteDeadline(t)
}
