package websocket_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// First bytes of frames (RFC 6455 section 5.2).
const (
	fin    = 0x80
	cont   = 0x0
	text   = 0x1
	binry  = 0x2
	closeF = 0x8
	ping   = 0x9
	pong   = 0xA
)

var key = [4]byte{0x37, 0xfa, 0x21, 0x3d} // of the example in RFC 6455 section 5.7

// masked returns a client's frame with the shortest length.
func masked(first byte, payload string) []byte {
	var p []byte
	switch n := len(payload); {
	case n < 126:
		p = []byte{first, 0x80 | byte(n)}
	case n < 1<<16:
		p = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(n))
	default:
		p = binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, uint64(n))
	}
	return appendMasked(p, payload)
}

// appendMasked appends the key and the masked payload.
func appendMasked(p []byte, payload string) []byte {
	p = append(p, key[:]...)
	for i := range len(payload) {
		p = append(p, payload[i]^key[i%4])
	}
	return p
}

// closing returns a client's close frame.
func closing(code uint16, reason string) []byte {
	return masked(fin|closeF, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// A recorder writes down what a Handler is told, except ReadDone, which it counts.
type recorder struct {
	events  []string
	reads   int
	message func(binary bool, p []byte) // called as well, if not nil
}

func (r *recorder) Message(isBinary bool, p []byte) {
	kind := "text"
	if isBinary {
		kind = "binary"
	}
	r.events = append(r.events, kind+":"+string(p))
	if r.message != nil {
		r.message(isBinary, p)
	}
}

func (r *recorder) Control(f *frame.Frame) {
	r.events = append(r.events, fmt.Sprintf("control:%x:%s", f.Wire()[0], f.Payload()))
}

func (r *recorder) ReadDone() bool { r.reads++; return true }

// outcome puts what Serve returned into words.
func outcome(err error) string {
	var closed *websocket.CloseError
	var violation *websocket.ProtocolError
	switch {
	case errors.As(err, &closed):
		return fmt.Sprintf("closed %d %s", closed.Code, closed.Reason)
	case errors.As(err, &violation):
		return fmt.Sprintf("violation %d", violation.Code)
	case errors.Is(err, io.EOF):
		return "eof"
	default:
		return fmt.Sprintf("error %v", err)
	}
}

// A network makes the two ends of a connection, closed at the end of the test.
type network struct {
	name string
	pair func(tb testing.TB) (server, client net.Conn)
}

func networks() []network {
	return []network{{"tcp", tcpPair}, {"unix", unixPair}, {"pipe", pipePair}, {"tls", tlsPair}}
}

func tcpPair(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	return socketPair(tb, "tcp", "127.0.0.1:0")
}

func unixPair(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	return socketPair(tb, "unix", filepath.Join(tb.TempDir(), "s"))
}

func socketPair(tb testing.TB, network, addr string) (server, client net.Conn) {
	tb.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		tb.Skipf("no %s sockets here: %v", network, err)
	}
	defer l.Close()
	client, err = net.Dial(network, l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	return closeLater(tb, server, client)
}

func pipePair(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	server, client = net.Pipe()
	return closeLater(tb, server, client)
}

func tlsPair(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	server, client = tcpPair(tb)
	return tls.Server(server, serverTLS()), tls.Client(client, &tls.Config{InsecureSkipVerify: true})
}

// serverTLS has the cheapest handshake there is, because the tests make
// hundreds.
var serverTLS = sync.OnceValue(func() *tls.Config {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		panic(err)
	}
	return &tls.Config{
		Certificates:           []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}},
		CurvePreferences:       []tls.CurveID{tls.X25519},
		SessionTicketsDisabled: true,
	}
})

func closeLater(tb testing.TB, server, client net.Conn) (net.Conn, net.Conn) {
	tb.Helper()
	tb.Cleanup(func() {
		_ = server.Close()
		_ = client.Close()
	})
	return server, client
}

// hangUp ends what a client sends, in the way its network allows.
func hangUp(client net.Conn) {
	if half, ok := client.(interface{ CloseWrite() error }); ok {
		if half.CloseWrite() == nil {
			return
		}
	}
	_ = client.Close()
}

// converse lets a client send p in pieces of size bytes and hang up, and
// returns what the server makes of it.
func converse(t *testing.T, n network, limit int, ahead, p []byte, size int) (*recorder, error) {
	t.Helper()
	server, client := n.pair(t)
	c := websocket.New(server, limit, ahead)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for len(p) > 0 {
			k := min(size, len(p))
			if _, err := client.Write(p[:k]); err != nil {
				return // refused, and rightly or not: the server's side tells
			}
			p = p[k:]
		}
		hangUp(client)
	}()
	var r recorder
	err := c.Serve(&r)
	if cerr := c.Close(); cerr != nil {
		t.Errorf("Close: %v", cerr)
	}
	<-done
	return &r, err
}
