package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	engine "github.com/zishang520/socket.io/clients/engine/v3/transports"
	socket "github.com/zishang520/socket.io/clients/socket/v3"
	"github.com/zishang520/socket.io/v3/pkg/types"

	sioclient "github.com/sioplug/sioplug/client"
)

// limit is when waiting becomes a failure.
const limit = 2 * time.Minute

// atOnce is how many clients connect at the same time.
const atOnce = 20

var (
	errTimeout = errors.New("timeout")
	errEcho    = errors.New("the echo is another one")
	errKind    = errors.New("no such client")
)

// A client is connected. It sends an echo and waits for it.
type client interface{ echo(text string) error }

// measureHere measures in this process.
func measureHere(kind, url, transport string, n, echoes int) error {
	dial := map[string]func(url, transport string) (client, error){"sioplug": dialOurs, "zishang520": dialTheirs}[kind]
	if dial == nil {
		return fmt.Errorf("%w: %q", errKind, kind)
	}
	if transport == "polling" { // the other client's answers wait for the server's next ping
		echoes = 0
	}
	c, err := dial(url, transport) // what is made once does not count
	if err == nil && echoes > 0 {
		err = c.echo("warm")
	}
	if err != nil {
		return err
	}
	memory, rss, routines, cpu := inUse(), residentSet(), runtime.NumGoroutine(), cpuTime()
	clients := make([]client, n)
	err = each(n, atOnce, func(i int) (err error) {
		clients[i], err = dial(url, transport)
		return err
	})
	if err != nil {
		return err
	}
	connectCPU := cpuTime() - cpu
	per := func(total float64) float64 { return total / float64(n) }
	r := result{
		Heap: per(float64(inUse()) - float64(memory)), RSS: per(float64(residentSet()) - float64(rss)),
		Goroutines: per(float64(runtime.NumGoroutine() - routines)),
		ConnectCPU: per(float64(connectCPU.Microseconds())),
	}
	if echoes == 0 {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	text := strings.Repeat("x", 100)
	start := time.Now()
	cpu = cpuTime()
	err = each(n, n, func(i int) error {
		for range echoes {
			if err := clients[i].echo(text); err != nil {
				return err
			}
		}
		return nil
	})
	r.EchoCPU, r.EchoWall = float64((cpuTime()-cpu).Microseconds())/float64(n*echoes), time.Since(start).Seconds()
	runtime.KeepAlive(clients)
	runtime.KeepAlive(c)
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(r))
}

// each calls f for all indexes, some at the same time.
func each(n, atOnce int, f func(i int) error) error {
	errs := make([]error, n)
	turn := make(chan bool, atOnce)
	var wg sync.WaitGroup
	for i := range n {
		turn <- true
		wg.Go(func() {
			errs[i] = f(i)
			<-turn
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// inUse returns the bytes of the heap and of all stacks.
func inUse() uint64 {
	<-time.After(time.Second) // what is on its way arrives
	for range 5 {             // stacks shrink, and pools give their content up
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// residentSet returns the memory of this process in bytes, 0 if the system does not tell.
func residentSet() (bytes uint64) {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, _ = fmt.Sscan(v, &bytes)
		}
	}
	return bytes << 10
}

// cpuTime returns the CPU time of this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it does not fail for these arguments
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type ours struct{ s *sioclient.Socket }

func dialOurs(url, transport string) (client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	s, err := sioclient.Dial(ctx, url, &sioclient.Options{Transports: []string{transport}, Logger: slog.New(slog.DiscardHandler)})
	return ours{s}, err
}

func (c ours) echo(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if got, err := sioclient.EmitWithAck[string](ctx, c.s, "echo", text); err != nil || got != text {
		return errors.Join(errEcho, err)
	}
	return nil
}

type theirs struct{ s *socket.Socket }

func dialTheirs(url, transport string) (client, error) {
	o := socket.DefaultOptions()
	if transport == "polling" {
		o.SetTransports(types.NewSet(engine.Polling))
	} else {
		o.SetTransports(types.NewSet(engine.WebSocket))
	}
	o.SetForceNew(true) // as ours, each has a connection
	o.SetAutoConnect(false)
	s, err := socket.Connect(url, o)
	if err != nil {
		return nil, err
	}
	connected := make(chan bool, 1)
	if err := s.Once("connect", func(...any) { connected <- true }); err != nil {
		return nil, err
	}
	s.Connect()
	return theirs{s}, await(connected)
}

func (c theirs) echo(text string) error {
	done, same := make(chan bool, 1), false
	err := c.s.Emit("echo", text, func(args []any, err error) {
		same = err == nil && len(args) == 1 && args[0] == text
		done <- true
	})
	if err != nil {
		return err
	}
	if err := await(done); err != nil || !same {
		return errors.Join(errEcho, err)
	}
	return nil
}

func await(c <-chan bool) error {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-c:
		return nil
	case <-t.C:
		return errTimeout
	}
}
