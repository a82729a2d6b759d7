package sio

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/core/engine"
	"github.com/sioplug/sioplug/internal/misuse"
	"github.com/sioplug/sioplug/internal/rescue"
)

// observers are the functions of all observers, by moment.
type observers struct {
	list []*Observer

	serverStarted, shutdownStarted []func(*Server)

	sessionOpened, sessionUpgraded []func(SessionInfo)
	sessionClosed                  []func(SessionClosedInfo)
	upgradeFailed                  []func(UpgradeFailedInfo)
	requestRefused                 []func(RequestRefusedInfo)
	slowClient                     []func(SlowClientInfo)

	socketConnected    []func(SocketConnectedInfo)
	socketDisconnected []func(SocketDisconnectedInfo)
	socketRefused      []func(SocketRefusedInfo)
	socketDataSet      []func(SocketDataSetInfo)

	eventHandled    []func(EventHandledInfo)
	emissionStarted []func(context.Context, EmissionInfo) func(error)
	ackDone         []func(AckDoneInfo)
	recoveryDone    []func(RecoveryDoneInfo)
	guardRefused    []func(GuardRefusedInfo)
	clusterError    []func(error)
}

func newObservers(list []*Observer) *observers {
	all := &observers{list: list}
	for _, o := range list {
		if o == nil {
			misuse.Panic("sio: Options.Observers has a nil observer")
		}
		add(&all.serverStarted, o.ServerStarted)
		add(&all.shutdownStarted, o.ShutdownStarted)
		add(&all.sessionOpened, o.SessionOpened)
		add(&all.sessionUpgraded, o.SessionUpgraded)
		add(&all.sessionClosed, o.SessionClosed)
		add(&all.upgradeFailed, o.UpgradeFailed)
		add(&all.requestRefused, o.RequestRefused)
		add(&all.slowClient, o.SlowClient)
		add(&all.socketConnected, o.SocketConnected)
		add(&all.socketDisconnected, o.SocketDisconnected)
		add(&all.socketRefused, o.SocketRefused)
		add(&all.socketDataSet, o.SocketDataSet)
		add(&all.eventHandled, o.EventHandled)
		if o.EmissionStarted != nil {
			all.emissionStarted = append(all.emissionStarted, o.EmissionStarted)
		}
		add(&all.ackDone, o.AckDone)
		add(&all.recoveryDone, o.RecoveryDone)
		add(&all.guardRefused, o.GuardRefused)
		add(&all.clusterError, o.ClusterError)
	}
	return all
}

func add[T any](fs *[]func(T), f func(T)) {
	if f != nil {
		*fs = append(*fs, f)
	}
}

// AddObserver adds an observer to those of [Options.Observers]. It is for packages that get
// a server that was made already. The observer is not told of what began before, but it is
// told of its end: it may hear that a session has closed whose beginning it does not know.
// Before it returns, AddObserver calls the observer's function ServerStarted, and then
// ShutdownStarted if [Server.Shutdown] has begun.
func (s *Server) AddObserver(o *Observer) {
	if o == nil {
		misuse.Panic("sio: AddObserver got a nil observer")
	}
	s.mu.Lock()
	s.observers.Store(newObservers(append(slices.Clone(s.observers.Load().list), o)))
	s.engine.SetObserver(s.observer())
	ending := s.shuttingDown
	s.mu.Unlock()
	if o.ServerStarted != nil {
		observeApart(s, "ServerStarted", []func(*Server){o.ServerStarted}, s)
	}
	if ending && o.ShutdownStarted != nil {
		observeApart(s, "ShutdownStarted", []func(*Server){o.ShutdownStarted}, s)
	}
}

// observeShutdown tells observers once that Shutdown has begun. Like Shutdown, it waits for
// them until ctx ends.
func (s *Server) observeShutdown(ctx context.Context) {
	s.mu.Lock()
	told := s.shuttingDown
	s.shuttingDown = true
	fs := s.observers.Load().shutdownStarted
	s.mu.Unlock()
	if told || len(fs) == 0 {
		return
	}
	select {
	case <-s.tellShutdown(fs): //nolint:contextcheck // observers get none
	case <-ctx.Done():
	}
}

// tellShutdown calls functions of observers, and then closes the channel.
func (s *Server) tellShutdown(fs []func(*Server)) <-chan struct{} {
	told := make(chan struct{})
	go func() { // ends with the observers
		defer close(told)
		observeApart(s, "ShutdownStarted", fs, s)
	}()
	return told
}

// observeApart calls functions of observers for moments that are not those of each message.
func observeApart[T any](s *Server, moment string, fs []func(T), info T) {
	if len(fs) == 0 {
		return
	}
	rescue.Each(len(fs), func(i int) error {
		fs[i](info)
		return nil
	}, func(_ int, err error) { s.observerFailed(moment, err) })
}

// observeHere calls functions of observers within a handler. One that ends the goroutine
// ends the handler, too, but keeps no other one from being called.
func observeHere[T any](s *Server, moment string, fs []func(T), info T) {
	called := 0
	defer func() {
		if called < len(fs) {
			s.observerFailed(moment, rescue.ErrExited)
			observeHere(s, moment, fs[called+1:], info)
		}
	}()
	for _, f := range fs {
		err := rescue.Call(func() error {
			f(info)
			return nil
		})
		if err != nil {
			s.observerFailed(moment, err)
		}
		called++
	}
}

func (s *Server) observerFailed(moment string, err error) {
	attrs := append([]slog.Attr{slog.String("moment", moment)}, errAttrs(err)...)
	s.log().LogAttrs(context.Background(), slog.LevelError, "a function of an observer failed", attrs...)
}

// observer returns the engine's observer. It has only the functions that somebody wants.
func (s *Server) observer() *engine.Observer {
	all, e := s.observers.Load(), new(engine.Observer)
	forward(s, "SessionOpened", all.sessionOpened, &e.SessionOpened)
	forward(s, "SessionUpgraded", all.sessionUpgraded, &e.SessionUpgraded)
	forward(s, "SessionClosed", all.sessionClosed, &e.SessionClosed)
	forward(s, "UpgradeFailed", all.upgradeFailed, &e.UpgradeFailed)
	forward(s, "SlowClient", all.slowClient, &e.SlowClient)
	if len(all.requestRefused)+len(all.guardRefused) > 0 {
		e.RequestRefused = s.observeRequestRefused
	}
	return e
}

func forward[T any](s *Server, moment string, fs []func(T), to *func(T)) {
	if len(fs) > 0 {
		*to = func(info T) { observeApart(s, moment, fs, info) }
	}
}

func (s *Server) observeRequestRefused(info RequestRefusedInfo) {
	if r := rescue.As[*GuardError](info.Err); r != nil {
		observeApart(s, "GuardRefused", s.observers.Load().guardRefused, r.info(GuardRefusedInfo{Request: info.Request}))
	}
	observeApart(s, "RequestRefused", s.observers.Load().requestRefused, info)
}

func (s *Socket) observeConnected() {
	observeApart(s.ns.server, "SocketConnected", s.ns.server.observers.Load().socketConnected, SocketConnectedInfo{s, s.client.session})
	if s.Recovered() {
		s.observeRecovery(nil, RecoveryOK)
	}
}

func (s *Socket) observeDisconnected(why *DisconnectError) {
	observeApart(s.ns.server, "SocketDisconnected", s.ns.server.observers.Load().socketDisconnected,
		SocketDisconnectedInfo{s, s.client.session, why.Reason, why.Err})
}

// observeData tells that a value of a data key was set.
func (s *Socket) observeData(key string) {
	observeApart(s.ns.server, "SocketDataSet", s.ns.server.observers.Load().socketDataSet, SocketDataSetInfo{s, key})
}

// observeRefused tells that a client was not accepted. s is nil if there is no socket.
func (c *client) observeRefused(s *Socket, namespace string, why SocketRefusal, err error) {
	observeApart(c.server, "SocketRefused", c.server.observers.Load().socketRefused, SocketRefusedInfo{s, namespace, why, err})
}

// observeChainRefused tells that the connect chain did not accept the client.
func (s *Socket) observeChainRefused(t *task, err error) {
	if len(s.ns.server.observers.Load().socketRefused) == 0 {
		return
	}
	why := RefusedInternalError
	if _, meant := toWire(err); t != nil && t.is(flagRefused) {
		why = RefusedByGuard
	} else if meant {
		why = RefusedByMiddleware
	}
	s.client.observeRefused(s, s.ns.name, why, err)
}

func (s *Socket) observeRecovery(err error, outcome RecoveryOutcome) {
	observeApart(s.ns.server, "RecoveryDone", s.ns.server.observers.Load().recoveryDone, RecoveryDoneInfo{s, outcome, err})
}

// recoveryOutcome classifies the reason why a client cannot continue its session.
func recoveryOutcome(err error) (outcome RecoveryOutcome) {
	outcome = RecoveryFailed
	_ = rescue.Apart(func() error { // if its methods fail, the log has failed
		switch {
		case isAny(err, adapter.ErrUnknownSession):
			outcome = RecoveryUnknownSession
		case isAny(err, adapter.ErrUnknownOffset, errRoomsForgotten):
			outcome = RecoveryEventsLost
		case isAny(err, errDisconnectedAway, errClosed):
			outcome = RecoveryDisconnected
		case isAny(err, errNothingTaken):
			outcome = RecoveryRepeated
		case isAny(err, ErrNotRecovered):
			outcome = RecoveryNotAllowed
		case isAny(err, ErrDisconnected, context.Canceled):
			outcome = RecoveryClientGone
		}
		return nil
	})
	return outcome
}

// runObserved runs the handler of an event, and then tells the observers, also if the
// handler panics or ends its goroutine.
func (t *task) runObserved() error {
	start, err := sinceStart(), rescue.ErrExited
	defer func() {
		c := &t.ctx
		observeHere(c.ns.server, "EventHandled", c.ns.server.observers.Load().eventHandled, EventHandledInfo{
			Ctx: c, Known: t.endpoint.name != "", Duration: sinceStart() - start, Outcome: t.outcome(err), Err: err,
		})
	}()
	err = rescue.Call(func() error { return t.endpoint.run(&t.ctx) })
	return t.ctx.ns.reportIfMeant(&t.ctx, err)
}

// outcome classifies the error of a handler.
func (t *task) outcome(err error) HandlerOutcome {
	switch {
	case t.is(flagRefused):
		return HandlerRefused
	case err == nil:
		return HandlerOK
	case rescue.Broken(err):
		return HandlerPanic
	}
	if _, meant := toWire(err); meant {
		return HandlerError
	}
	if t.ctx.causedByClient(err) {
		return HandlerAborted
	}
	return HandlerInternalError
}

// An observedAck is an [ackWaiter] that tells observers what became of the ack.
type observedAck struct {
	ackWaiter

	event  string
	sentAt time.Duration // by sinceStart
}

// observeAck returns w, or one around it if somebody observes acks.
func (s *Server) observeAck(w ackWaiter, event func() string) ackWaiter {
	if len(s.observers.Load().ackDone) == 0 {
		return w
	}
	return &observedAck{w, event(), sinceStart()}
}

func (o *observedAck) acked(s *Socket, a Args) {
	info := o.info(s, AckReceived, nil)
	o.ackWaiter.acked(s, a)
	observeApart(s.ns.server, "AckDone", s.ns.server.observers.Load().ackDone, info)
}

// failed may be called under any lock.
func (o *observedAck) failed(s *Socket, err error) {
	o.ackWaiter.failed(s, err)
	go ackAbandoned(o, s, err) // ends with the observers
}

func (o *observedAck) info(s *Socket, outcome AckOutcome, err error) AckDoneInfo {
	return AckDoneInfo{s, o.event, sinceStart() - o.sentAt, outcome, err}
}

// ackAbandoned tells observers that nobody waits for an ack of the client any more, if w
// is one that they observe.
func ackAbandoned(w ackWaiter, s *Socket, err error) {
	o, observed := w.(*observedAck)
	if !observed {
		return
	}
	observeApart(s.ns.server, "AckDone", s.ns.server.observers.Load().ackDone, o.info(s, ackOutcome(err), err))
}

// ackOutcome classifies the reason why there is no acknowledgement.
func ackOutcome(err error) (outcome AckOutcome) {
	outcome = AckDisconnected
	_ = rescue.Apart(func() error { // the error of a context may be the application's
		switch {
		case isAny(err, ErrDisconnected):
		case isAny(err, ErrAckBlocked):
			outcome = AckBlocked
		case isAny(err, ErrNotReady):
			outcome = AckNotReady
		case isAny(err, context.DeadlineExceeded):
			outcome = AckTimedOut
		default:
			outcome = AckCanceled
		}
		return nil
	})
	return outcome
}
