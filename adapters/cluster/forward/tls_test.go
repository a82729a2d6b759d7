package forward_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/sioplug/sioplug/adapters/cluster/forward"
)

func tlsWithoutCertificate() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS13} }

// mutualTLS returns settings in which both ends show a certificate.
func mutualTLS(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

func TestTLSBetweenServers(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t, 3, startOptions{forward: forward.Options{TLS: mutualTLS(t)}})
	for _, w := range ways() {
		c := w.connect(t, strangers(t, nodes))
		c.Connect("/", "")
		c.Send(`421["echo","over TLS"]`)
		c.Want(`431["over TLS"]`)
		c.Close()
	}
	if forwarded(nodes) == 0 {
		t.Error("nothing was forwarded")
	}
	res, err := http.Get("http://" + nodes[0].address)
	if err == nil {
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			t.Error("it answers without TLS")
		}
	}
}
