// Command conformance is the server that official test suites talk to, behind
// Gin. The suites are in the socket.io repository; what each of them expects of
// its server is written here once more, in Go.
//
//	go run ./test/conformance -suite protocol           # docs/engine.io-protocol, docs/socket.io-protocol
//	go run ./test/conformance -suite protocol -eio3     # docs/engine.io-protocol, revision 3
//	go run ./test/conformance -suite engine.io-client   # packages/engine.io-client/test
//	go run ./test/conformance -suite socket.io-client   # packages/socket.io-client/test
//
// The protocol suites are run with npm test while this runs. Those of the clients
// start the JavaScript server in a file of hooks, test/support/hooks: mocha is
// given the tests without that file, and talks to this server instead.
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
)

// A suite is a server that a test suite wants, at the address it expects.
type suite struct {
	addr  string
	mount func(r *gin.Engine)
}

func main() {
	eio3 := flag.Bool("eio3", false, "let clients of revision 3 in, for its suite; that of revision 4 wants them refused")
	name := flag.String("suite", "protocol", "the suite to serve: protocol, engine.io-client or socket.io-client")
	addr := flag.String("addr", "", "where to listen, instead of where the suite looks")
	flag.Parse()
	suites := map[string]suite{
		"protocol": {"localhost:3000", func(r *gin.Engine) {
			mountEngine(r, *eio3)
			mountSocketIO(r)
		}},
		"engine.io-client": {"localhost:3000", mountForEngineClient},
		"socket.io-client": {"localhost:3210", mountForClient},
	}
	s, ok := suites[*name]
	if !ok {
		fmt.Fprintf(os.Stderr, "conformance: no suite %q\n", *name)
		flag.Usage()
		os.Exit(2)
	}
	if *addr != "" {
		s.addr = *addr
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	s.mount(r)
	err := http.ListenAndServe(s.addr, r) //nolint:gosec // no timeouts: polls are long
	slog.Error("conformance server ended", slog.Any("err", err))
	os.Exit(1)
}
