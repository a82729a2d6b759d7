//go:build unix

package fibertest

import (
	"bufio"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	"github.com/sioplug/sioplug/integrations/internal/mounttest"
)

// serverAddr in the environment makes this program a server that can open few files.
const (
	serverAddr = "SIOPLUG_TEST_DESCRIPTORS"
	listening  = "listening"
)

func (f Framework[C]) fewDescriptors(addr string) {
	few := syscall.Rlimit{Cur: 64, Max: 64}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		exit(err)
	}
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	srv.On("event", func(c *sio.Ctx) error { return c.Ack() })
	exit(f.Listen(addr, srv, func() { say(listening) }))
}

// Descriptors tests a program that has as many connections as it can have. Fiber ended
// it when the next one came.
func (f Framework[C]) Descriptors(t *testing.T) {
	t.Helper()
	if addr := os.Getenv(serverAddr); addr != "" {
		f.fewDescriptors(addr)
	}
	t.Parallel()
	l, _ := mounttest.Listen(t)
	addr := l.Addr().String()
	_ = l.Close()                                                                   // the program's
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$") //nolint:gosec // this program
	cmd.Env = append(os.Environ(), serverAddr+"="+addr)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if !said.Scan() || said.Text() != listening {
		t.Fatal(said.Text())
	}
	d := siotest.Dialer{URL: "http://" + addr + "/group/socket.io/"}
	first := d.WebSocket(t)
	first.Connect("/", "")
	var conns []net.Conn
	for range 100 {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	first.Send(`421["event"]`)
	first.Want("431[]")
	for _, c := range conns {
		_ = c.Close()
	}
	d.WebSocket(t).Connect("/", "")
	first.Send(`421["event"]`)
	first.Want("431[]")
}
