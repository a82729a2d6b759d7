package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A session over polling shows that the events are answered. The load generator of the
// benchmark tries all of them, over all transports.
func TestEventsAreAnswered(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(newHandler())
	t.Cleanup(web.Close)
	do := func(method, query, body string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, web.URL+"/socket.io/?EIO=4&transport=polling"+query, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s, %s, %v", method, query, res.Status, b, err)
		}
		return string(b)
	}
	var open struct{ SID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(do("GET", "", ""), "0")), &open); err != nil {
		t.Fatal(err)
	}
	say := func(packet string) string {
		do("POST", "&sid="+open.SID, packet)
		return do("GET", "&sid="+open.SID, "")
	}
	if got := say("40"); !strings.HasPrefix(got, `40{"sid":`) {
		t.Fatalf("connecting: %s", got)
	}
	const document = `{"id":"1","userId":2,"createdAt":"3","paid":true,"total":4.5,"note":"6","address":{"a":"b"},"items":null,"position":[7]}`
	for packet, want := range map[string]string{
		`42["echo","text"]`:           `42["echo","text"]`,
		`421["echoAck","text"]`:       `431["text"]`,
		`422["join","room"]`:          `432[]`,
		`42["json",` + document + `]`: `42["json",` + document + `]`,
		`42["bcast",1,3]`:             `42["b",0,"xxx"]`,
	} {
		if got := say(packet); got != want {
			t.Errorf("%s: %s, want %s", packet, got, want)
		}
	}
}
