package redisadapter

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sioplug/sioplug/internal/redistest"
)

// A deadline that go-redis had set for its first command cut every connection once, after
// the read timeout.
func TestConnectionsKeptTheDeadlineOfGoRedis(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	client := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	defer client.Close()
	s := &server{options: client.Options(), readTimeout: timeout}
	c, err := s.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	time.Sleep(timeout + timeout/10)
	if _, err := c.write(appendCommand(nil, "PING")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, len("+PONG\r\n"))); err != nil {
		t.Errorf("read %d bytes: %v", n, err)
	}
}
