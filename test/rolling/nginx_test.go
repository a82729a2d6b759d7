package rolling_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sioplug/sioplug/internal/require"
)

// nginxConfig is the configuration of docs/clustering.md, with what docs/draining.md adds. With
// max_fails=1, a server that was away once gets one client per fail_timeout: to nginx, it has
// come back when a request has ended, and a WebSocket does not end.
const nginxConfig = `
%s
worker_processes 1;
daemon off;
pid %[2]s/pid;
events { worker_connections 8192; }
http {
	access_log off;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	map $http_upgrade $connection_upgrade {
		default upgrade;
		""      "";
	}
	map $arg_sid $sockets {
		~^a-    server_a;
		~^b-    server_b;
		~^c-    server_c;
		default any;
	}
	upstream server_a { server %[3]s; keepalive 64; }
	upstream server_b { server %[4]s; keepalive 64; }
	upstream server_c { server %[5]s; keepalive 64; }
	upstream any {
		zone any 64k;
		server %[3]s max_fails=0;
		server %[4]s max_fails=0;
		server %[5]s max_fails=0;
		keepalive 64;
	}
	server {
		listen %[6]s backlog=4096;
		proxy_http_version 1.1;
		proxy_set_header Upgrade $http_upgrade;
		proxy_set_header Connection $connection_upgrade;
		proxy_set_header Host $http_host;
		proxy_buffering off;
		proxy_connect_timeout 2s;
		proxy_read_timeout 60s;
		proxy_send_timeout 60s;
		proxy_next_upstream error timeout http_503;
		location /socket.io/ { proxy_pass http://$sockets; }
	}
}
`

// startNginx starts nginx in front of three servers, and returns its URL.
func startNginx(t *testing.T, servers []string) string {
	t.Helper()
	nginx := require.Tool(t, "nginx")
	dir, addr := t.TempDir(), freePort(t)
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // so that it can read the folder
	}
	file := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, user, dir, servers[0], servers[1], servers[2], addr)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(nginx, "-p", dir, "-e", "stderr", "-c", file)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("nginx: %v\n%s", err, &log)
		}
		if t.Failed() {
			t.Logf("nginx:\n%s", lastLines(log.String()))
		}
	})
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return "http://" + addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen: %v", err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// lastLines returns the last lines of a log.
func lastLines(text string) string {
	const most = 20
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
