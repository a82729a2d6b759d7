package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	sioclient "github.com/sioplug/sioplug/client"
	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/parser/msgpack"
)

// moreScenarios have the subjects of test/interop that concern a client.
func moreScenarios() map[string]scenario {
	return map[string]scenario{
		"rooms SIO-BC-2 SIO-BC-7":                    {settings{}, rooms},
		"broadcasts and events in order SIO-EM-5":    {settings{}, broadcastsInOrder},
		"survey SIO-BA-1 SIO-CU-7":                   {settings{}, survey},
		"answers in any order SIO-EM-12":             {settings{}, answersInAnyOrder},
		"an answer that is late SIO-EM-10":           {settings{}, lateAnswer},
		"text and binary in order EIO-UP-3":          {settings{}, mixed},
		"volatile events of the server SIO-EM-13":    {settings{}, volatileOfServer},
		"ten attachments SIO-BIN-7":                  {settings{}, tenAttachments},
		"eleven attachments SIO-BIN-7":               {settings{}, elevenAttachments},
		"ten namespaces SIO-CN-16 SIO-DC-15":         {settings{}, tenNamespaces},
		"events to two namespaces in order SIO-EM-6": {settings{}, twoNamespaces},
		"late decisions SIO-CN-6 SIO-CN-7":           {settings{}, lateDecisions},
		"refusal without data SIO-CN-7":              {settings{}, bareRefusal},
		"an auth payload that is none CLI-RC-6":      {settings{}, badAuth},
		"message, and names of all kinds CLI-OP-19":  {settings{}, messages},
		"catch-all and binary data CLI-OP-20":        {settings{}, catchAllBinary},
		"a message that is too large for the client": {settings{}, tooLarge},
		"goodbye SIO-DC-2":                           {settings{}, goodbye},
		"before, during and after an upgrade":        {settings{}, duringUpgrade},
		"many sockets of one HTTP client":            {settings{}, manyClients},
		"the wrong parser":                           {settings{MsgPack: true}, wrongParser},
		"MessagePack both ways CLI-OP-13":            {settings{MsgPack: true}, packedBothWays},
		"compressed binary data EIO-WD-1":            {settings{Deflate: true}, compressedBinary},
		"recovery with MessagePack":                  {settings{MsgPack: true, Recovery: true}, packedOffsets},
	}
}

func answersInAnyOrder(t *testing.T, url string, o sioclient.Options) {
	const n = 20
	s := newSocket(t, url, o)
	var asked []*sioclient.Ctx
	s.On("question", func(c *sioclient.Ctx) error {
		if asked = append(asked, c); len(asked) < n {
			return nil
		}
		for _, c := range slices.Backward(asked) {
			var i int
			if err := errors.Join(c.Bind(&i), c.Ack(i*i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	got, err := sioclient.EmitWithAck[[]int](within(t), s, "ask me often", n)
	if err != nil || len(got) != n {
		t.Fatal(got, err)
	}
	for i, v := range got {
		if v != i*i {
			t.Errorf("answer %d is %d", i, v)
		}
	}
}

func lateAnswer(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	questions := make(chan *sioclient.Ctx, 1)
	s.On("question", func(c *sioclient.Ctx) error { questions <- c; return nil })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if v, err := sioclient.EmitWithAck[string](within(t), s, "ask me briefly"); v != "late" || err != nil {
		t.Error(v, err)
	}
	if err := wait(t, questions).Ack(1); err != nil {
		t.Error(err)
	}
	if v, err := sioclient.EmitWithAck[int](within(t), s, "echo", 5); v != 5 || err != nil {
		t.Error(v, err)
	}
}

func mixed(t *testing.T, url string, o sioclient.Options) {
	const n = 1000
	s := newSocket(t, url, o)
	type item struct {
		i int
		v any
	}
	got := make(chan item, n)
	s.On("mixed", func(c *sioclient.Ctx) error {
		var it item
		err := c.Bind(&it.i, &it.v)
		got <- it
		return err
	})
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("mixed", n); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		var data any = []byte(fmt.Sprint(i))
		if i%2 == 0 {
			data = fmt.Sprint(i)
		}
		if err := s.Emit("item", i, data); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		var want any = fmt.Sprint("text ", i)
		if i%2 == 1 {
			want = bytes.Repeat([]byte{byte(i)}, i%200)
		}
		if it := wait(t, got); it.i != i || !reflect.DeepEqual(it.v, want) {
			t.Fatalf("item %d is %v", i, it)
		}
	}
	if v := items(t, s); !isSequence(v, n) {
		t.Errorf("the server got %v", v)
	}
}

func volatileOfServer(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	ticks, end := make(chan int, 1000), make(chan bool, 1)
	s.On("tick", func(c *sioclient.Ctx) error {
		var i int
		var a, b []byte
		err := c.Bind(&i, &a, &b)
		if !bytes.Equal(a, bytes.Repeat([]byte{byte(i)}, 2000)) || !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, 10)) {
			t.Errorf("tick %d is not whole", i)
		}
		ticks <- i
		return err
	})
	s.On("end of ticks", func(*sioclient.Ctx) error { end <- true; return nil })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	if err := s.Emit("volatile", 500); err != nil {
		t.Fatal(err)
	}
	wait(t, end)
	close(ticks)
	last := -1
	for i := range ticks {
		if i <= last {
			t.Errorf("%d after %d", i, last)
		}
		last = i
	}
}

func tenAttachments(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	got := make(chan int, 1)
	s.On("attachments", func(c *sioclient.Ctx) error { got <- c.Len(); return nil })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("attachments", 10); err != nil {
		t.Fatal(err)
	}
	if n := wait(t, got); n != 10 {
		t.Error(n)
	}
	list := make([][]byte, 10)
	for i := range list {
		list[i] = []byte{byte(i)}
	}
	if back, err := sioclient.EmitWithAck[[][]byte](within(t), s, "echo", list); err != nil || !reflect.DeepEqual(back, list) {
		t.Error(back, err)
	}
	err := s.Emit("echo", list, []byte{10})
	if !errors.Is(err, sioclient.ErrTooManyAttachments) || !s.Connected() {
		t.Error(err)
	}
}

func elevenAttachments(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, fast(o))
	lost, back := make(chan sioclient.Reason, 10), make(chan bool, 10)
	s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { lost <- r })
	s.OnConnect(func(*sioclient.Socket) { back <- true })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	wait(t, back)
	id := s.ID()
	if err := s.Emit("attachments", 11); err != nil {
		t.Fatal(err)
	}
	if v, err := sioclient.EmitWithAck[int](within(t), s, "echo", 1); v == 1 && err == nil && s.ID() == id {
		return // the server did not send them: this one is ours
	}
	if r := wait(t, lost); r != sioclient.ReasonParseError {
		t.Error(r)
	}
	wait(t, back)
}

func messages(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	got := make(chan []any, 1)
	receive := func(c *sioclient.Ctx) error {
		v, err := c.Args().Values()
		got <- v
		return err
	}
	s.On("message", receive)
	names := []string{"\u65e5\u672c", "with space", "a,b/c?d", "\U0001f600", "0", "toString", "__proto__", ""}
	for _, name := range names {
		s.On(name, receive)
	}
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Emit("message", 1, "two"); err != nil {
		t.Fatal(err)
	}
	if v := wait(t, got); !reflect.DeepEqual(v, []any{float64(1), "two"}) {
		t.Error(v)
	}
	for _, name := range names {
		if err := s.Emit("all", name, name); err != nil {
			t.Fatal(err)
		}
		if v := wait(t, got); !reflect.DeepEqual(v, []any{name}) {
			t.Errorf("%q: %v", name, v)
		}
	}
	if err := s.Emit("an event that nobody knows"); err != nil {
		t.Error(err)
	}
	if v, err := sioclient.EmitWithAck[int](within(t), s, "echo", 1); v != 1 || err != nil {
		t.Error(v, err)
	}
}

func catchAllBinary(t *testing.T, url string, o sioclient.Options) {
	s := newSocket(t, url, o)
	seen := make(chan string, 10)
	tell := func(event string, args sio.Args) {
		v, err := args.Values()
		seen <- fmt.Sprint(event, v, err)
	}
	s.OnAny(func(c *sioclient.Ctx) { tell(c.Event(), c.Args()) })
	s.OnAnyOutgoing(func(_ *sioclient.Socket, event string, args sio.Args) { tell(event, args) })
	s.On("question", sioclient.Reply(func(_ *sioclient.Ctx, n int) (int, error) { return n, nil })) // an ack is no event
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, seen); got != "hello[false] <nil>" {
		t.Error(got)
	}
	if err := s.Emit("echo", []byte{1}); err != nil {
		t.Fatal(err)
	}
	want := []string{"echo[[1]] <nil>", "echo[[1]] <nil>", "ask me[] <nil>", "question[20] <nil>"}
	for i, part := range want {
		if got := wait(t, seen); got != part {
			t.Errorf("%q, want %q", got, part)
		}
		if i == 1 {
			if _, err := s.EmitWithAck(within(t), "ask me"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(seen) > 0 {
		t.Errorf("one more: %s", <-seen)
	}
}

func tooLarge(t *testing.T, url string, o sioclient.Options) {
	o.MaxMessageSize = 10_000
	s := newSocket(t, url, fast(o))
	lost, back := make(chan sioclient.Reason, 10), make(chan bool, 10)
	got := make(chan int, 10)
	s.On("big", sioclient.Bind(func(_ *sioclient.Ctx, text string) error { got <- len(text); return nil }))
	s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) { lost <- r })
	s.OnConnect(func(*sioclient.Socket) { back <- true })
	if err := s.Connect(within(t)); err != nil {
		t.Fatal(err)
	}
	settle(t, s, o)
	wait(t, back)
	if err := s.Emit("big", 9_000); err != nil {
		t.Fatal(err)
	}
	if n := wait(t, got); n != 9_000 {
		t.Error(n)
	}
	if err := s.Emit("big", 50_000); err != nil {
		t.Fatal(err)
	}
	if r := wait(t, lost); r != sioclient.ReasonTransportError {
		t.Error(r)
	}
	wait(t, back)
}

func duringUpgrade(t *testing.T, url string, o sioclient.Options) {
	s := connect(t, url, o)
	for i := range 300 {
		if v, err := sioclient.EmitWithAck[int](within(t), s, "echo", i); v != i || err != nil {
			t.Fatal(i, v, err)
		}
	}
	settle(t, s, o)
}

func packedBothWays(t *testing.T, url string, o sioclient.Options) {
	o.Parser = msgpack.Parser{}
	for _, run := range []func(*testing.T, string, sioclient.Options){acks, answersInAnyOrder, refused, mixed} {
		run(t, url, o)
		// The last one counts the items of the server.
	}
}

func compressedBinary(t *testing.T, url string, o sioclient.Options) {
	o.PerMessageDeflate = &sio.PerMessageDeflate{ServerContextTakeover: true, ClientContextTakeover: true}
	s := connect(t, url, o)
	random := make([]byte, 0, 20_000)
	for i, x := 0, uint32(1); i < cap(random); i++ {
		x = x*1664525 + 1013904223
		random = append(random, byte(x>>24))
	}
	for _, n := range []int{0, 1, 1023, 1024, 5_000, 20_000} {
		for _, want := range [][]byte{random[:n], make([]byte, n)} {
			if got, err := sioclient.EmitWithAck[[]byte](within(t), s, "echo", want); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes: %d came back, %v", n, len(got), err)
			}
		}
	}
}

func packedOffsets(t *testing.T, url string, o sioclient.Options) {
	o.Parser = msgpack.Parser{}
	offsets(t, url, o)
}
