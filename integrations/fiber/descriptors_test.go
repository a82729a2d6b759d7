//go:build unix

package siofiber_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/gofiber/fiber/v2"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
	siofiber "github.com/sioplug/sioplug/integrations/fiber"
)

// serverAddr in the environment makes this program a server that can open few files.
const (
	serverAddr = "SIOPLUG_TEST_DESCRIPTORS"
	listening  = "listening"
)

func fewDescriptors(addr string) {
	few := syscall.Rlimit{Cur: 64, Max: 64}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	app := newApp()
	app.Hooks().OnListen(func(fiber.ListenData) error { fmt.Println(listening); return nil })
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	srv.On("event", func(c *sio.Ctx) error { return c.Ack() })
	siofiber.Mount(app.Group("/group"), srv)
	fmt.Println("Listen:", app.Listen(addr))
	os.Exit(1)
}

// A program that had as many connections as it can have ended when the next one came.
func TestProgramEndedForWantOfDescriptors(t *testing.T) {
	if addr := os.Getenv(serverAddr); addr != "" {
		fewDescriptors(addr)
	}
	t.Parallel()
	l := listen(t)
	addr := l.Addr().String()
	_ = l.Close() // the program's
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
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
		c, err := net.Dial("tcp", addr)
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
