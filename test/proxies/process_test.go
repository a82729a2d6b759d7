//go:build unix

package proxies_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// patience is how long a program may take to answer, and to stop.
const patience = time.Minute

// freePort returns an address of this machine that nothing listens on. Its port is below
// the range of outgoing connections, so it stays free.
func freePort(t *testing.T) string {
	t.Helper()
	const attempts = 100
	for range attempts {
		addr := net.JoinHostPort(proxy, strconv.Itoa(20_000+mathrand.IntN(10_000))) //nolint:gosec // a port is no secret
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// start runs a program and waits until it listens. At the end of the test, it stops the
// program by a signal.
func start(t *testing.T, addr string, cmd *exec.Cmd, end syscall.Signal) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { stop(t, cmd, end, ended, &out) })
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case failed := <-ended:
			ended <- failed
			t.Fatalf("%s ended: %v\n%s", cmd.Path, failed, &out)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", cmd.Path, err)
		}
	}
}

// stop stops a program, which has to exit with status 0.
func stop(t *testing.T, cmd *exec.Cmd, end syscall.Signal, ended <-chan error, out *bytes.Buffer) {
	t.Helper()
	if err := cmd.Process.Signal(end); err != nil {
		t.Logf("stopping %s: %v", cmd.Path, err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%s ended: %v\n%s", cmd.Path, err, out)
		}
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-ended
		t.Errorf("%s does not stop\n%s", cmd.Path, out)
	}
}

// certificate returns a folder with a certificate for this machine, its key, and both in
// one file as HAProxy wants them.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(proxy)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	chain := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	dir := t.TempDir()
	write(t, dir, "fullchain.pem", chain)
	write(t, dir, "privkey.pem", private)
	write(t, dir, "haproxy.pem", private+chain)
	return dir
}
