package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	sio "github.com/sioplug/sioplug/core"
)

// serverEnv has the settings of a server in a process of its own: this program, started
// again.
const serverEnv = "SIOPLUG_FAULTS_SERVER"

// settings are what a process is told.
type settings struct {
	Kind adapterKind
	Addr string
}

// runServer is a server until its process is killed. It has no clients.
func runServer() {
	var s settings
	if err := json.Unmarshal([]byte(os.Getenv(serverEnv)), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	srv := sio.New(s.Kind.options(redis.NewClient(&redis.Options{Addr: s.Addr}), clusterOptions("in another process")))
	srv.On("never", func(*sio.Ctx) error { return nil })
	_ = http.Handler(srv)
	time.Sleep(5 * time.Minute) // nobody needs it for longer
}

// startProcess starts a server in a process of its own. kill ends it without a word.
func startProcess(t *testing.T, s settings) (kill func()) {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), serverEnv+"="+string(text))
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	return kill
}
