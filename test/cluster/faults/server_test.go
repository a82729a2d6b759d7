package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

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
	opts, _, err := s.Kind.options(s.Addr, clusterOptions("in another process"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	srv := sio.New(opts)
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
	cmd := command(t, serverEnv+"="+string(text))
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
