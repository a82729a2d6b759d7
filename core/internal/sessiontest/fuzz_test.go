package sessiontest_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	sio "github.com/sioplug/sioplug/core"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// FuzzSession plays a program: bytes that say what clients do, right and wrong, and
// what the server does meanwhile. Whatever it is,
//
//   - nothing panics, and no goroutine is left;
//   - an event that a client sent in the right way is handled once, on its socket and
//     in order, or its socket ends, and then nothing behind it is handled;
//   - so it is across the namespaces of a client, unless a handler waits;
//   - an event of the server arrives once and in order, and while the client stays
//     connected none is missing;
//   - what waits in the server is bounded in both directions;
//   - OnDisconnect runs once for every socket that OnConnect ran for, and last;
//   - nothing is logged above Debug, and Shutdown ends.
func FuzzSession(f *testing.F) {
	for _, p := range programs() {
		f.Add(p)
	}
	for seed := range uint64(60) {
		f.Add(random(seed))
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		synctest.Test(t, func(t *testing.T) { play(t, program) })
	})
}

// A variant is how the server is set.
type variant struct{ old, recovery bool }

// A world is a server and its clients.
type world struct {
	t       *testing.T
	srv     *sio.Server
	dial    siotest.Dialer
	model   *model
	clients []*client
	program reader
}

// A reader reads a program. At its end it returns zeros.
type reader struct{ left []byte }

func (r *reader) next() int {
	if len(r.left) == 0 {
		return 0
	}
	b := r.left[0]
	r.left = r.left[1:]
	return int(b)
}

func (r *reader) bytes(n int) []byte {
	n = min(n, len(r.left))
	p := r.left[:n]
	r.left = r.left[n:]
	return p
}

// Programs have at most so many steps and clients.
const (
	maxSteps   = 150
	maxClients = 4
)

func play(t *testing.T, program []byte) {
	t.Helper()
	w := &world{t: t, model: newModel(t), program: reader{program}}
	flags := w.program.next()
	v := variant{old: flags&1 != 0, recovery: flags&2 != 0}
	log := new(logbook)
	w.srv = newServer(w.model, log, v)
	w.dial = siotest.Pipes(t, w.srv)
	for steps := 0; len(w.program.left) > 0 && steps < maxSteps; steps++ {
		w.step(v)
		synctest.Wait()
		w.model.bounded()
	}
	w.finish()
	w.end(flags)
	log.check(t)
}

// finish lets all clients do what is right for as long as handlers may take, and
// looks at what became of everything.
func (w *world) finish() {
	for _, c := range w.clients {
		c.behave()
	}
	for range 40 {
		time.Sleep(15 * time.Second)
		w.model.bounded()
	}
	synctest.Wait()
	w.model.complete()
	for _, c := range w.clients {
		for name, in := range c.inbox {
			want, ok := w.model.delivered(c.place(name))
			missing := slices.ContainsFunc(want, func(n int) bool { return !slices.Contains(in.got, n) })
			if ok && missing {
				w.t.Errorf("%v got %v of %v", c.place(name), in.got, want)
			}
		}
	}
}

// end has everybody go, in some order.
func (w *world) end(flags int) {
	if flags&4 != 0 {
		for _, c := range w.clients {
			c.drop()
		}
		synctest.Wait()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if err := w.srv.Shutdown(ctx); err != nil {
		w.t.Errorf("Shutdown: %v", err)
	}
	for _, c := range w.clients {
		c.drop()
	}
	synctest.Wait()
	w.model.over()
	if n := w.srv.ClientsCount(); n != 0 {
		w.t.Errorf("%d clients are left", n)
	}
}

// step makes the next step of the program.
func (w *world) step(v variant) {
	op := w.program.next()
	if op < 16 || len(w.clients) == 0 {
		w.open(op, v)
		return
	}
	c := w.clients[op%len(w.clients)]
	steps := []func(c *client){
		w.event, w.event, w.event, w.event, w.burst, w.burst, w.attachments, w.connect, w.disconnect,
		func(c *client) { c.upgrade() },
		func(c *client) { c.switchOver(w.program.next() > 240) },
		func(c *client) { c.switchOver(false) },
		w.sleep, w.sleep, w.sleep, w.changeHabit, w.changeHabit, w.recover, w.serverDoes, w.breakRules,
	}
	steps[w.program.next()%len(steps)](c)
}

// breakRules does what no client should.
func (w *world) breakRules(c *client) {
	steps := []func(c *client){w.garbage, w.frames, w.hangUp, w.misplacedRequest, w.tooLong}
	steps[w.program.next()%len(steps)](c)
}

func (w *world) open(how int, v variant) {
	if len(w.clients) == maxClients {
		return
	}
	old := v.old && how&2 != 0
	c := newClient(w.t, w.model, w.dial, strconv.Itoa(len(w.clients)), old)
	w.clients = append(w.clients, c)
	c.begin(how&1 != 0)
	if how&4 != 0 {
		synctest.Wait()
		c.send(item{"40", -1})
	}
}

func (w *world) namespace() string {
	list := namespaces()
	return list[w.program.next()%len(list)]
}

func (w *world) connect(c *client) {
	namespace := w.namespace()
	auth := []string{"", `{"refuse":true}`, `{"wait":500}`, `{"wait":40000}`, `"text"`, ""}[w.program.next()%6]
	if auth != "" {
		c.model.mayWait(c.place(namespace).who)
	}
	packet := "40" + prefix(namespace) + auth
	c.send(item{packet, -1})
}

// event sends one event; the number of its kind says whether it wants an ack.
func (w *world) event(c *client) {
	names := []string{"number", "slow", "echo", "bytes", "maybe", "kick", "close", "panic", "ask", "room", "leave"}
	kind := w.program.next()
	name := names[kind%len(names)]
	c.send(c.emit(w.namespace(), name, w.program.next()*16, kind >= 128, nil)...)
}

// burst sends many events of a kind at once, to two namespaces in turn.
func (w *world) burst(c *client) {
	places, how := []string{w.namespace(), w.namespace()}, w.program.next()
	name := []string{"number", "echo", "slow", "room"}[how%4]
	n := how / 4
	if name == "slow" {
		n = min(n, 20)
	}
	size := w.program.next() * 8
	var items []item
	for i := range n {
		items = append(items, c.emit(places[i%2], name, size, false, nil)...)
	}
	if n > 0 {
		c.send(items...)
	}
}

func (w *world) attachments(c *client) {
	namespace, n := w.namespace(), w.program.next()%(maxAttachments+2)
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = w.program.next()
	}
	c.send(c.emit(namespace, "number", 0, false, sizes)...)
}

func (w *world) disconnect(c *client) {
	namespace := w.namespace()
	c.model.leave(c.place(namespace))
	c.send(item{"41" + prefix(namespace), -1})
}

func (w *world) sleep(*client) {
	milliseconds := w.program.next()
	milliseconds *= []int{1, 100, 500}[w.program.next()%3]
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
}

// garbage is a text that means nothing, or worse.
func (w *world) garbage(c *client) {
	c.breakRules()
	c.send(item{string(w.program.bytes(w.program.next() % 64)), -1})
}

// frames are bytes on a WebSocket.
func (w *world) frames(c *client) {
	p := w.program.bytes(w.program.next() % 64)
	if l := c.activeConn(); l != nil && !c.waiting() {
		c.breakRules()
		l.raw(p)
	}
}

// changeHabit changes what the client does by itself.
func (w *world) changeHabit(c *client) { c.change(w.program.next()) }

// hangUp ends the session, or a part of it.
func (w *world) hangUp(c *client) {
	switch w.program.next() % 4 {
	case 0:
		c.breakRules()
		c.send(item{"1", -1})
	case 1:
		c.drop()
	case 2:
		c.abort()
	case 3:
		if l := c.activeConn(); l != nil {
			c.breakRules()
			l.close()
		}
	}
}

// recover leaves the session behind and goes on in a new one.
func (w *world) recover(c *client) {
	how := w.program.next()
	c.again(how&1 != 0)
	if how&2 != 0 {
		synctest.Wait()
	}
	namespace := w.namespace()
	c.send(item{"40" + prefix(namespace) + c.recoveryAuth(namespace), -1})
}

// misplacedRequest is a request that the protocol has no place for.
func (w *world) misplacedRequest(c *client) {
	switch w.program.next() % 3 {
	case 0:
		c.pollTwice()
	case 1:
		c.postTwice(string(w.program.bytes(w.program.next() % 16)))
	case 2:
		c.second([]string{"5", "2probe", "40", "1", "x"}[w.program.next()%5])
	}
}

func (w *world) tooLong(c *client) {
	c.breakRules()
	c.send(item{"42" + string(make([]byte, maxMessage)), -1})
}

// serverDoes something to all clients of a namespace.
func (w *world) serverDoes(*client) {
	name := w.namespace()
	if name == "/none" || name == "/d1" {
		name = "/"
	}
	all := w.srv.Of(name).Broadcast()
	switch w.program.next() % 5 {
	case 0:
		_ = all.Emit("news", string(make([]byte, w.program.next())))
	case 1:
		_ = all.Volatile().Emit("news", []byte("some"))
	case 2:
		_ = all.Disconnect()
	case 3:
		_ = all.Close()
	case 4:
		_ = all.Join("room")
	}
}
