package engine

import (
	"log/slog"
	"time"

	"github.com/sioplug/sioplug/internal/rescue"
)

// An Observer has functions that are called at certain moments in the life of sessions,
// for metrics and traces. Functions that are nil are not called. They may be called
// concurrently and, for one session, overlap. They must not block: some of them keep a
// client or a request waiting. A panic is logged, and changes nothing else.
//
// For packets, bytes and numbers of sessions see [Server.Stats], which costs less.
type Observer struct {
	// SessionOpened is called for each new session, before the client gets the open
	// packet.
	SessionOpened func(SessionInfo)

	// SessionUpgraded is called when a session has moved from polling to WebSocket.
	SessionUpgraded func(SessionInfo)

	// UpgradeFailed is called when a WebSocket did not take over from polling. The
	// session goes on over polling, if it has not ended.
	UpgradeFailed func(UpgradeFailedInfo)

	// RequestRefused is called for each request that is refused: those of
	// Options.OnConnectionError, and those that UseRequest refuses, that are no
	// WebSocket handshake, that have another method than GET and POST, or that would open
	// a session during Drain or Shutdown.
	RequestRefused func(RequestRefusedInfo)

	// SlowClient is called before SessionClosed if a message was sent to a client while
	// Options.MaxSendBuffer bytes were waiting for it.
	SlowClient func(SlowClientInfo)

	// SessionClosed is called once for each session that was opened, after it has ended.
	SessionClosed func(SessionClosedInfo)
}

// A SessionInfo is about a session that was opened or upgraded.
type SessionInfo struct {
	Session   *Session
	Transport string        // Polling or WebSocket; after an upgrade the new one
	Age       time.Duration // since the session was opened: 0 if that is now
}

// An UpgradeFailedInfo is about a WebSocket that did not take over.
type UpgradeFailedInfo struct {
	Session *Session
	Reason  UpgradeFailure
}

// An UpgradeFailure says why an upgrade failed.
type UpgradeFailure string

// Why upgrades fail.
const (
	UpgradeTimedOut         UpgradeFailure = "timeout"           // Options.UpgradeTimeout
	UpgradeConnectionClosed UpgradeFailure = "connection_closed" // by the client or the network
	UpgradeSessionClosed    UpgradeFailure = "session_closed"    // while the WebSocket probed
	UpgradeNotPossible      UpgradeFailure = "not_possible"      // another one probes, the session has ended, or Options.DisableUpgrades
	UpgradeInvalidPacket    UpgradeFailure = "invalid_packet"    // the client sent something else than the probe
	UpgradeInvalidHandshake UpgradeFailure = "invalid_handshake" // it is no WebSocket handshake, mostly because of a proxy
	UpgradeNotSupported     UpgradeFailure = "not_supported"     // the HTTP server did not hand over the connection: see the log
	UpgradeShuttingDown     UpgradeFailure = "shutting_down"     // Server.Shutdown has begun
)

// A RequestRefusedInfo is about a request that was refused.
type RequestRefusedInfo struct {
	Request   *Request // its Body must not be read
	Handshake bool     // it would have opened a session, or has no session that is known
	Transport string   // that it asked for: Polling or WebSocket, "" for others

	// Code is that of [ConnectionError]. It is [CodeNone] if the protocol has none.
	Code int

	// Name tells more about Code: for example "TRANSPORT_MISMATCH" for code 3. It may be
	// empty. There is a fixed number of names. Those without a code are "MIDDLEWARE",
	// "WEBSOCKET_HANDSHAKE", "METHOD", "SHUTTING_DOWN" and "NOT_FORWARDED".
	Name string

	Status int   // of the answer
	Err    error // that a function of the options returned, or nil
}

// CodeNone is the code of refusals for which the protocol has no code.
const CodeNone = -1

// A SlowClientInfo is about a client that reads more slowly than it is sent to.
type SlowClientInfo struct {
	Session   *Session
	Transport string
	Buffered  int // see [Session.Buffered]
}

// A SessionClosedInfo is about a session that has ended.
type SessionClosedInfo struct {
	Session   *Session
	Transport string        // that it had at the end
	Reason    Reason        // why it has ended
	Err       error         // more about it, or nil
	Age       time.Duration // how long it was open
}

// SetObserver replaces the observer of the options. What happens at the same moment may
// still be told to the one before. o must not be nil.
func (e *Server) SetObserver(o *Observer) { e.observer.Store(o) }

// observe calls a function of the observer, on a goroutine of its own.
func observe[T any](e *Server, moment string, f func(T), info T) {
	if f == nil {
		return
	}
	err := rescue.Apart(func() error {
		f(info)
		return nil
	})
	if err != nil {
		e.logError("a function of an observer failed", err, slog.String("moment", moment))
	}
}

func (s *Session) observeOpened(transport string) {
	observe(s.server, "SessionOpened", s.server.observer.Load().SessionOpened, SessionInfo{Session: s, Transport: transport})
}

func (s *Session) observeUpgraded() {
	observe(s.server, "SessionUpgraded", s.server.observer.Load().SessionUpgraded, SessionInfo{s, WebSocket, s.age()})
}

// observeUpgradeFailed does nothing for a request that would have opened a session.
func (s *Session) observeUpgradeFailed(why UpgradeFailure) {
	if s != nil {
		observe(s.server, "UpgradeFailed", s.server.observer.Load().UpgradeFailed, UpgradeFailedInfo{s, why})
	}
}

// observeClosed may be called under any lock: Send ends sessions, too. So it does not
// wait for the application. slow is what waits for a slow client, 0 for others.
func (s *Session) observeClosed(transport string, reason Reason, err error, slow int) {
	e, o := s.server, s.server.observer.Load()
	if o.SessionClosed == nil && (o.SlowClient == nil || slow == 0) {
		return
	}
	info := SessionClosedInfo{s, transport, reason, err, s.age()}
	waits := e.observing.Enter() // false after Shutdown
	go func() {                  // Shutdown waits for it
		if waits {
			defer e.observing.Leave()
		}
		if slow > 0 {
			observe(e, "SlowClient", o.SlowClient, SlowClientInfo{s, transport, slow})
		}
		observe(e, "SessionClosed", o.SessionClosed, info)
	}()
}

func (e *Server) observeRefused(x *httpExchange, info RequestRefusedInfo) {
	f := e.observer.Load().RequestRefused
	if f == nil {
		return
	}
	info.Request = x.Request()
	info.Handshake = last(info.Request.Query, "sid") == "" || info.Code == codeUnknownSession
	if t := last(info.Request.Query, "transport"); t == Polling || t == WebSocket {
		info.Transport = t
	}
	observe(e, "RequestRefused", f, info)
}
