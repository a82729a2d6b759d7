package network_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sioplug/sioplug/test/network"
)

// echoServer answers each line with the same.
func echoServer(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func wantEcho(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(conn, line); err != nil {
		t.Fatal(err)
	}
	wantLine(t, conn, line)
}

func wantLine(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	if got, err := bufio.NewReader(conn).ReadString('\n'); err != nil || got != line+"\n" {
		t.Fatalf("read %q, %v, want %q", got, err, line)
	}
}

func TestProxyFails(t *testing.T) {
	t.Parallel()
	p := network.Start(t, echoServer(t))
	conn := dial(t, p.Addr())
	wantEcho(t, conn, "before")

	heal := p.Partition()
	before := p.Bytes()
	other := dial(t, p.Addr())
	for _, c := range []net.Conn{conn, other} {
		if _, err := fmt.Fprintln(c, "during"); err != nil {
			t.Fatal(err)
		}
	}
	if p.Bytes() != before {
		t.Error("something goes through a partition")
	}
	heal()
	wantLine(t, conn, "during")
	wantLine(t, other, "during")

	const slow = 20 * time.Millisecond
	p.Delay(slow)
	start := time.Now()
	wantEcho(t, conn, "slowly")
	if took := time.Since(start); took < 2*slow {
		t.Errorf("both ways took %v", took)
	}
	p.Delay(0)

	p.Partition() // which is never healed
	if _, err := fmt.Fprintln(conn, "never"); err != nil {
		t.Fatal(err)
	}
	p.Cut()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still there")
	}
}
