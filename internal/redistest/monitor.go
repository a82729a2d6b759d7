package redistest

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Monitor returns a function that waits for the next command that a client sends to the
// server, and returns its words. It begins when Monitor returns, and ends with the test.
func (s *Server) Monitor() (next func() []string) {
	s.tb.Helper()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(s.tb.Context(), "tcp", s.Addr)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "MONITOR\r\n"); err != nil {
		s.tb.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || line != "+OK\r\n" {
		s.tb.Fatalf("MONITOR: %q %v", line, err)
	}
	return func() []string {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			s.tb.Fatal(err)
		}
		s.tb.Helper()
		line, err := r.ReadString('\n')
		if err != nil {
			s.tb.Fatal(err)
		}
		_, line, _ = strings.Cut(line, "] ")
		var words []string
		for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				s.tb.Fatalf("%q: %v", line, err)
			}
			word, err := strconv.Unquote(quoted)
			if err != nil {
				s.tb.Fatalf("%q: %v", line, err)
			}
			words = append(words, word)
			line = line[len(quoted):]
		}
		return words
	}
}
