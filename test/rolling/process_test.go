package rolling_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// processEnv has what a process is to be that this program starts: JSON of settings.
const processEnv = "SIOPLUG_ROLLING_PROCESS"

// patience is how long something may take that has to happen.
const patience = time.Minute

// settings are what a process is told.
type settings struct {
	NATS string // the process is a server of NATS, which keeps its files in this folder

	Broker string        // otherwise it is a server over this broker
	Addr   string        // of the broker
	Name   string        // of the server
	Listen string        // where it listens
	Spread time.Duration // of its drain
}

func runProcess(text string) {
	var s settings
	err := json.Unmarshal([]byte(text), &s)
	switch {
	case err != nil:
	case s.NATS != "":
		err = runNATS(s.NATS)
	default:
		err = runServer(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A process is a server of the cluster, or its NATS.
type process struct {
	cmd   *exec.Cmd
	log   *lockedLog
	first string // line of its output, which it writes when it is ready
	once  sync.Once
}

// A lockedLog keeps what a process writes to its standard error.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start starts a process, which ends with the test, and waits until it is ready.
func start(t *testing.T, s settings) *process {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(program), log: new(lockedLog)}
	p.cmd.Env = append(os.Environ(), processEnv+"="+string(text))
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.end(t) })
	if p.first, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("a process does not start: %v\n%s", err, p.log)
	}
	p.first = strings.TrimSpace(p.first)
	return p
}

// end sends the process SIGTERM and waits for its end. It may be called more than once.
func (p *process) end(t *testing.T) {
	t.Helper()
	p.once.Do(func() {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("a process: %v", err)
		}
		if text := p.log.String(); text != "" {
			t.Errorf("a process has logged:\n%s", text)
		}
	})
}

// freePort returns an address of this machine that nothing listens on. Its port is below the
// range of outgoing connections, so it stays free.
func freePort(t *testing.T) string {
	t.Helper()
	const attempts = 100
	for range attempts {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(10_000)))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
