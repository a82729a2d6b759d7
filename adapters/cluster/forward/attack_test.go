package forward_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sioplug/sioplug/adapters/cluster/forward"
)

const unknownSession = `400 {"code":1,"message":"Session ID unknown"}`

// Ids that no server has made are refused at once. Only an id that names another server
// costs that server a request.
func TestForgedIDs(t *testing.T) {
	t.Parallel()
	overBoth(t, testForgedIDs)
}

func testForgedIDs(t *testing.T, o startOptions) {
	t.Helper()
	nodes := startCluster(t, 2, o)
	a, b := nodes[0], nodes[1]
	const random = "0123456789abcdef"
	for name, sid := range map[string]string{
		"of this server":     a.prefix + random,
		"of no server":       "xxxx" + random,
		"short":              b.prefix + random[1:],
		"long":               b.prefix + random + "0",
		"huge":               b.prefix + strings.Repeat("0", 100_000),
		"only the prefix":    b.prefix,
		"standard base64":    b.prefix + "0123456789abcde+",
		"space":              b.prefix + "0123456789abcde ",
		"a line break":       b.prefix + "\r\nX: 3456789abc",
		"a null byte":        b.prefix + "0123456789abcde\x00",
		"padded":             b.prefix + "0123456789abcd==",
		"a path":             b.prefix + "/../../../../etc",
		"a character beyond": b.prefix + "0123456789abcdä",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			status, text, _ := a.request(t, method, sid, "2", nil)
			if status != http.StatusBadRequest || !strings.Contains(text, `"code":1`) {
				t.Errorf("%s: %s is answered %d %s", name, method, status, text)
			}
		}
	}
	a.wantStats(t, forward.Stats{})
	for n := range 100 {
		a.want(t, []string{http.MethodGet, http.MethodPost}[n%2], b.prefix+random, "", unknownSession)
	}
	a.wantStats(t, forward.Stats{Forwarded: 100})
	b.wantStats(t, forward.Stats{Received: 100})
	a.want(t, http.MethodPut, b.prefix+random, "", "405")
	a.wantStats(t, forward.Stats{Forwarded: 100})
}

// A session that has ended is unknown, whichever server is asked.
func TestSessionsThatHaveEnded(t *testing.T) {
	t.Parallel()
	overBoth(t, testSessionsThatHaveEnded)
}

func testSessionsThatHaveEnded(t *testing.T, o startOptions) {
	t.Helper()
	nodes := startCluster(t, 2, o)
	sid := nodes[0].open(t)
	nodes[1].want(t, http.MethodPost, sid, "1", "200 ok")
	nodes[0].want(t, http.MethodGet, sid, "", unknownSession)
	nodes[1].want(t, http.MethodGet, sid, "", unknownSession)
}

// A flood of requests for sessions of another server is not amplified, and other clients are
// still served. The owner often refuses before the body has been read. A connection whose
// body was given up must take no further request, since net/http has ended its context.
func TestFloods(t *testing.T) {
	t.Parallel()
	overBoth(t, testFloods)
}

func testFloods(t *testing.T, o startOptions) {
	t.Helper()
	nodes := startCluster(t, 2, o)
	a, b := nodes[0], nodes[1]
	c := strangers(t, []*node{b, a}).Polling(t)
	c.Connect("/", "")
	before := a.router.Stats().Forwarded
	const floods, each = 8, 50
	var all sync.WaitGroup
	for range floods {
		all.Go(func() {
			for range each {
				a.want(t, http.MethodPost, b.prefix+"0123456789abcdef", `42["echo",1]`, unknownSession)
			}
		})
	}
	c.Send(`421["echo","still here"]`)
	c.Want(`431["still here"]`)
	all.Wait()
	// Beside the flood there are at most a POST and two polls of the client, and one that waits.
	if n := a.router.Stats().Forwarded - before; n < floods*each || n > floods*each+4 {
		t.Errorf("%d requests were forwarded", n)
	}
	if n, m := a.router.Stats().Forwarded, b.router.Stats().Received; m > n {
		t.Errorf("%d requests were forwarded, and %d arrived", n, m)
	}
}

// Requests beyond MaxRequests are refused, and counted.
func TestMaxRequests(t *testing.T) {
	t.Parallel()
	overBoth(t, testMaxRequests)
}

func testMaxRequests(t *testing.T, o startOptions) {
	t.Helper()
	o.forward.MaxRequests = 1
	nodes := startCluster(t, 2, o)
	a, b := nodes[0], nodes[1]
	sid := b.open(t)
	b.request(t, http.MethodGet, sid, "", nil) // the answer to the CONNECT
	polled := make(chan string, 1)
	go func() {
		_, text, _ := a.request(t, http.MethodGet, sid, "", nil)
		polled <- text
	}()
	eventually(t, "the poll waits", func() bool { return a.router.Stats().Pending == 1 })
	a.want(t, http.MethodPost, sid, `42["count",1]`, "503")
	b.want(t, http.MethodPost, sid, `42["count",1]`, "200 ok")
	if got := <-polled; got != `42["counted",1]` {
		t.Errorf("got %q", got)
	}
	eventually(t, "nothing is left", func() bool { return a.router.Stats() == forward.Stats{Forwarded: 1, Refused: 1} })
	a.want(t, http.MethodPost, sid, `42["count",2]`, "200 ok")
}

// What two servers believe of each other is no reason for a loop.
func TestForwardedRequestsAreNotForwarded(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t, 2, startOptions{})
	a, b := nodes[0], nodes[1]
	c := a.registry.join(99) // all believe that it has the prefix, and its address is that of b
	c.id, c.prefix = b.id, "loop"
	c.Announce(b.address)
	a.registry.mu.Lock()
	a.registry.members["loop"] = c
	a.registry.mu.Unlock()
	a.want(t, http.MethodGet, "loop0123456789abcdef", "", unknownSession)
	a.wantStats(t, forward.Stats{Forwarded: 1})
	b.wantStats(t, forward.Stats{Received: 1})
}

// The address for other servers is of no use without the secret.
func TestStrangers(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t, 2, startOptions{})
	a, b := nodes[0], nodes[1]
	sid := b.open(t)
	genuine := forward.Sign(secret, "GET", b.id, "/socket.io/?EIO=4&transport=polling&sid="+sid)
	_, fields, _ := strings.Cut(genuine, " ")
	for name, head := range map[string][]string{
		"no header":       nil,
		"empty":           {""},
		"no signature":    {" " + fields},
		"another secret":  {forward.Sign("another secret of 22 bytes", "GET", b.id, "/?sid="+sid)},
		"changed":         {genuine + "&ip=127.0.0.1"},
		"two":             {genuine, genuine},
		"for its own":     {"1"},
		"a long one":      {strings.Repeat("a", 10_000) + " to=" + b.id},
		"only a space":    {" "},
		"broken encoding": {genuine + "%"},
	} {
		header := http.Header{}
		if head != nil {
			header["Sioplug-Forwarded"] = head
		}
		status, text := direct(t, b, header)
		if status != http.StatusForbidden || text != "" {
			t.Errorf("%s: %d %q", name, status, text)
		}
	}
	// One that was meant for another server, which had the address before.
	header := http.Header{"Sioplug-Forwarded": {forward.Sign(secret, "GET", a.id, "/?transport=polling&EIO=4&sid="+sid)}}
	if status, _ := direct(t, b, header); status != http.StatusMisdirectedRequest {
		t.Errorf("for another server: %d", status)
	}
	if s := b.router.Stats(); s.Strangers != 10 || s.Received != 0 {
		t.Errorf("%+v", s)
	}
	// A genuine one opens no session, and one in a client's request means nothing.
	header["Sioplug-Forwarded"] = []string{forward.Sign(secret, "GET", b.id, "/?transport=polling&EIO=4")}
	if status, text := direct(t, b, header); status != http.StatusBadRequest || !strings.Contains(text, `"code":1`) {
		t.Errorf("without a session: %d %s", status, text)
	}
	header["Sioplug-Forwarded"] = []string{genuine}
	if status, text, _ := a.request(t, http.MethodGet, sid, "", header); status != http.StatusOK || !strings.HasPrefix(text, "40{") {
		t.Errorf("in a client's request: %d %s", status, text)
	}
}

// direct makes a request to the address for other servers.
func direct(t *testing.T, s *node, header http.Header) (status int, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://server/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(all)
}
