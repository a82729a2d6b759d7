package sio_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

// jurors connects clients whose names are those of rooms that they are in, and
// returns them with the ids of their sockets.
func jurors(t *testing.T, srv *sio.Server, d siotest.Dialer, names ...string) (map[string]*siotest.Client, map[string]string) {
	t.Helper()
	cr := newCrowd(t, srv, d, "/", names...)
	ids := map[string]string{}
	for name, s := range cr.sockets {
		ids[s.ID()] = name
	}
	return cr.clients, ids
}

// quiz reads an event and returns how to acknowledge it.
func quiz(t *testing.T, c *siotest.Client, want string) (answer func(data string)) {
	t.Helper()
	got := c.Next()
	id, ok := strings.CutSuffix(strings.TrimPrefix(got, "42"), want)
	if !ok || id == "" {
		t.Fatalf("got %s, want a question with %s", got, want)
	}
	return func(data string) { c.Send("43" + id + data) }
}

// tell makes an answer readable.
func tell[T any](ids map[string]string, a sio.Ack[T]) string {
	switch {
	case a.Err == nil:
		return fmt.Sprint(ids[a.Socket], " ", a.Value)
	case errors.Is(a.Err, sio.ErrDisconnected):
		return ids[a.Socket] + " gone"
	case errors.Is(a.Err, context.DeadlineExceeded):
		return ids[a.Socket] + " late"
	default:
		return ids[a.Socket] + " " + a.Err.Error()
	}
}

func TestSIO_BA_1_SIO_BA_2_AnswersComeWithWhoGaveThem(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		clients, ids := jurors(t, srv, d, "ax", "bx", "cx", "d")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got := make(chan string)
		go func() {
			defer close(got)
			for a := range sio.BroadcastWithAck[int](ctx, srv.To("x"), "vote", "motion") {
				got <- tell(ids, a)
			}
		}()
		first := quiz(t, clients["ax"], `["vote","motion"]`)
		second := quiz(t, clients["bx"], `["vote","motion"]`)
		third := quiz(t, clients["cx"], `["vote","motion"]`)
		second(`[2]`)
		if a := <-got; a != "bx 2" { // before the others have answered
			t.Errorf("first answer: %s", a)
		}
		third(`[3,"more"]`)
		if a := <-got; a != "cx 3" {
			t.Errorf("second answer: %s", a)
		}
		start := time.Now()
		first(`[1]`)
		if a := <-got; a != "ax 1" {
			t.Errorf("third answer: %s", a)
		}
		if _, more := <-got; more || time.Since(start) > 0 {
			t.Error("waits for more than all answers")
		}
		must(t, srv.Emit("end"))
		clients["d"].Want(`42["end"]`)
	})
}

func TestSIO_BA_1_SIO_BA_5_WhoDoesNotAnswer(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		clients, ids := jurors(t, srv, d, "a", "b", "c")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var got []string
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for a := range sio.BroadcastWithAck[string](ctx, srv.Broadcast(), "vote") {
				got = append(got, fmt.Sprint(time.Since(start), " ", tell(ids, a)))
			}
		}()
		answer := quiz(t, clients["a"], `["vote"]`)
		quiz(t, clients["b"], `["vote"]`)
		quiz(t, clients["c"], `["vote"]`)
		time.Sleep(time.Second)
		clients["b"].Send("41")
		time.Sleep(time.Second)
		answer(`["yes"]`)
		<-done
		if want := []string{"1s b gone", "2s a yes", "20s c late"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestSIO_BA_6_LateAnswersAreForgotten(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		echo(srv.Namespace)
		clients, _ := jurors(t, srv, d, "a", "b")
		for a := range sio.BroadcastWithAck[int](t.Context(), srv.To("nobody"), "never") {
			t.Errorf("SIO-BA-3: an answer from nobody: %v", a)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		late := 0
		for a := range sio.BroadcastWithAck[int](ctx, srv.Broadcast(), "vote") {
			if errors.Is(a.Err, context.DeadlineExceeded) {
				late++
			}
		}
		if late != 2 {
			t.Errorf("%d late, want 2", late)
		}
		for _, c := range clients {
			quiz(t, c, `["vote"]`)(`[1]`)
			mustEcho(t, c)
		}
	})
}

// A loop that is left early does not wait, and leaves nothing behind: the
// bubble could not end otherwise.
func TestBroadcastWithAckIsLeftEarly(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		echo(srv.Namespace)
		clients, ids := jurors(t, srv, d, "a", "b", "c")
		var first string
		go func() { quiz(t, clients["b"], `["vote"]`)(`[7]`) }()
		for a := range sio.BroadcastWithAck[int](t.Context(), srv.Broadcast(), "vote") {
			first = tell(ids, a)
			break
		}
		if first != "b 7" {
			t.Errorf("first answer %q", first)
		}
		synctest.Wait()
		quiz(t, clients["a"], `["vote"]`)(`[8]`)
		mustEcho(t, clients["a"])
	})
}

func TestSIO_BA_4_DeadlinesAreContexts(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		clients, ids := jurors(t, srv, d, "a")
		answered := make(chan string, 1)
		go func() {
			for a := range sio.BroadcastWithAck[int](t.Context(), srv.Broadcast(), "vote") { // no deadline at all
				answered <- tell(ids, a)
			}
		}()
		answer := quiz(t, clients["a"], `["vote"]`)
		time.Sleep(40 * time.Second) // a client that does not answer pings is there for 45
		answer(`[1]`)
		if a := <-answered; a != "a 1" {
			t.Errorf("got %s", a)
		}

		// One that has passed: the event is sent, and everybody is late.
		ctx, cancel := context.WithTimeout(t.Context(), -1)
		defer cancel()
		var got []string
		for a := range sio.BroadcastWithAck[int](ctx, srv.Broadcast(), "vote") {
			got = append(got, tell(ids, a))
		}
		if !slices.Equal(got, []string{"a late"}) {
			t.Errorf("got %v", got)
		}
		quiz(t, clients["a"], `["vote"]`)
	})
}

func TestSIO_BA_AnswersThatDoNotFitOrCannotBeAsked(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		clients, _ := jurors(t, srv, d, "a")
		go func() { quiz(t, clients["a"], `["vote"]`)(`["a string"]`) }()
		n := 0
		for a := range sio.BroadcastWithAck[int](t.Context(), srv.Broadcast(), "vote") {
			n++
			if a.Err == nil || a.Value != 0 {
				t.Errorf("a string as int: %+v", a)
			}
		}
		for a := range sio.BroadcastWithAck[int](t.Context(), srv.Broadcast(), "vote", make(chan int)) {
			n++
			if a.Err == nil || a.Socket != "" {
				t.Errorf("a channel was sent: %+v", a)
			}
		}
		for a := range sio.BroadcastWithAck[int](t.Context(), srv.Broadcast(), "connect") {
			n++
			if !errors.Is(a.Err, sio.ErrReservedEvent) {
				t.Errorf("a reserved name was sent: %+v", a)
			}
		}
		if n != 3 {
			t.Errorf("%d answers, want 3", n)
		}
	})
}

func TestSIO_BA_10_IDsDoNotMeetThoseOfOtherQuestions(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		cr := newCrowd(t, srv, d, "/", "a")
		got := make(chan string, 2)
		go func() {
			for a := range sio.BroadcastWithAck[string](t.Context(), srv.Broadcast(), "q") {
				got <- "broadcast: " + a.Value
			}
		}()
		answer := quiz(t, cr.clients["a"], `["q"]`)
		go func() {
			v, err := sio.EmitWithAck[string](t.Context(), cr.sockets["a"], "q")
			must(t, err)
			got <- "socket: " + v
		}()
		quiz(t, cr.clients["a"], `["q"]`)(`["one"]`)
		if g := <-got; g != "socket: one" {
			t.Error(g)
		}
		answer(`["two"]`)
		if g := <-got; g != "broadcast: two" {
			t.Error(g)
		}
	})
}

func TestSIO_BA_11_ParentsAskAllChildren(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		parent := srv.OfFunc(func(name string, _ *sio.Handshake) bool { return strings.HasPrefix(name, "/room-") })
		answers := map[string]string{}
		var clients []*siotest.Client
		for i := range 3 {
			c := d.WebSocket(t)
			c.Connect(fmt.Sprint("/room-", i), "")
			clients = append(clients, c)
		}
		go func() {
			for i, c := range clients {
				q := c.Next()
				head, _ := strings.CutSuffix(q, `["q"]`)
				c.Send(strings.Replace(head, "42", "43", 1) + fmt.Sprint("[", i, "]"))
			}
		}()
		for a := range sio.BroadcastWithAck[int](t.Context(), parent.Broadcast(), "q") {
			must(t, a.Err)
			answers[a.Socket] = fmt.Sprint(a.Value)
		}
		if got := slices.Sorted(maps.Values(answers)); !slices.Equal(got, []string{"0", "1", "2"}) {
			t.Errorf("answers %v", got)
		}
	})
}

func TestSIO_CU_7_BinaryQuestionsAndAnswers(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		c := d.WebSocket(t)
		c.Connect("/", "")
		b := "b" + base64.StdEncoding.EncodeToString([]byte{1, 2, 3})
		go func() {
			if q := c.Next(); q != `451-1["q",{"_placeholder":true,"num":0}]` || c.Next() != b {
				t.Errorf("question %s", q)
			}
			c.Send(`461-1[{"_placeholder":true,"num":0}]`, b)
		}()
		for a := range sio.BroadcastWithAck[[]byte](t.Context(), srv.Broadcast(), "q", []byte{1, 2, 3}) {
			if a.Err != nil || !slices.Equal(a.Value, []byte{1, 2, 3}) {
				t.Errorf("answer %v, %v", a.Value, a.Err)
			}
		}
	})
}

// A handler may ask a room that its own client is in.
func TestBroadcastWithAckInAHandler(t *testing.T) {
	for name, open := range transports() {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
				srv.On("poll", func(c *sio.Ctx) error {
					sum := 0
					for a := range sio.BroadcastWithAck[int](c.Context(), srv.Broadcast(), "vote") {
						must(t, a.Err)
						sum += a.Value
					}
					return c.Ack(sum)
				})
				a, b := open(t, d), open(t, d)
				a.Connect("/", "")
				b.Connect("/", "")
				a.Send(`421["poll"]`)
				quiz(t, b, `["vote"]`)(`[30]`)
				quiz(t, a, `["vote"]`)(`[12]`)
				a.Want("431[42]")
			})
		})
	}
}

// Who was sent nothing was waited for until the context ended.
func TestVolatileQuestionsWaitForNobodyWhoWasNotAsked(t *testing.T) {
	bubble(t, nil, func(t *testing.T, srv *sio.Server, d siotest.Dialer) {
		ids := map[string]string{}
		var names, got []string
		srv.OnConnect(func(c *sio.Ctx) error { ids[c.ID()] = names[len(ids)]; return nil })
		connect := func(name string, c *siotest.Client) *siotest.Client {
			names = append(names, name)
			c.Connect("/", "")
			synctest.Wait()
			return c
		}
		connect("between polls", d.Polling(t))
		congested := connect("congested", d.WebSocket(t))
		ready := connect("ready", d.WebSocket(t))
		synctest.Wait()
		for id, name := range ids {
			if name == "congested" { // its client does not read
				must(t, srv.To(id).Emit("in the way"))
			}
		}
		synctest.Wait()
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for a := range sio.BroadcastWithAck[int](context.Background(), srv.Broadcast().Volatile(), "vote") {
				if a.Err != nil && !errors.Is(a.Err, sio.ErrNotReady) {
					t.Error(a.Err)
				}
				got = append(got, fmt.Sprint(ids[a.Socket], " ", a.Value, " ", a.Err == nil))
			}
		}()
		quiz(t, ready, `["vote"]`)("[1]")
		<-done
		slices.Sort(got)
		if want := []string{"between polls 0 false", "congested 0 false", "ready 1 true"}; !slices.Equal(got, want) {
			t.Errorf("answers: %q, want %q", got, want)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		congested.Want(`42["in the way"]`)
	})
}

// Those who go while they are asked are not waited for either.
func TestQuestionsWaitForNobodyWhoGoes(t *testing.T) {
	const rounds = 100
	srv, d := loopback(t, nil)
	for range rounds {
		var clients []*siotest.Client
		for range 4 {
			c := d.WebSocket(t)
			c.Connect("/", "")
			clients = append(clients, c)
		}
		go func() {
			for _, c := range clients {
				c.Abort()
			}
		}()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for a := range sio.BroadcastWithAck[int](context.Background(), srv.Broadcast().Volatile(), "vote") {
				if !errors.Is(a.Err, sio.ErrDisconnected) && !errors.Is(a.Err, sio.ErrNotReady) {
					t.Errorf("answer %v", a)
				}
			}
		}()
		await(t, "the answers of those who went", done)
	}
}
