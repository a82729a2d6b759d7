package edges_test

// Why code of the application may be called outside of the edge.
const (
	inEdge     = "it runs within a call of the edge that stands in another function"
	byHandler  = "a handler calls it, which runs behind the edge of its packet"
	byCaller   = "it runs on the goroutine that called, which is the application's, under no lock and with nothing to complete"
	atStart    = "it runs when something is registered, on the goroutine that does so, where a panic has to be seen"
	byRequest  = "it runs within Server.Serve, whose completion ends the session"
	ourOwn     = "the function is ours"
	ofReply    = "the function is that of the caller of Node.Answer, on the same goroutine; for our own requests it is ours"
	ofLog      = "the function is the server's: Log says what it may do"
	ofStandard = "the error or the value has a type of ours, or of the standard library"
	inServer   = "an integration implements it, and only sets a deadline"
	ofCreation = "it runs while a namespace comes about, which lifetime.go is responsible for"
)

// allowed are the calls outside of the edge, with the reason. A call that does not exist
// any more has to be removed here.
var allowed = map[string]string{
	"client.Bind: f":                       byHandler,
	"client.Reply: f":                      byHandler,
	"client.Ctx.handle: h":                 inEdge, // of the event's task: serial.Line
	"client.task.Run: t.run":               inEdge, // likewise
	"client.task.Done: t.done":             ourOwn,
	"client.Manager.newTask: f":            inEdge, // it is what task.Run calls
	"client.Manager.hookCloseLocked: f":    inEdge, // likewise
	"client.Manager.openFailedLocked: f":   inEdge,
	"client.Manager.reconnect: f":          inEdge,
	"client.conn.Opened: f":                inEdge,
	"client.conn.Upgraded: f":              inEdge,
	"client.Socket.observeLocked: f":       inEdge,
	"client.Socket.acceptedLocked: f":      inEdge,
	"client.Socket.lostLocked: f":          inEdge,
	"client.Socket.connectFailedLocked: f": inEdge,
	"client.register: change":              ourOwn,
	"client.encodingError: errors.Is":      byCaller,

	"client/internal/eio.Engine.opened: e.h.Opened":            ourOwn, // package sioclient has the one Handler
	"client/internal/eio.Engine.receive: e.h.Message":          ourOwn,
	"client/internal/eio.Engine.receive: e.h.Ping":             ourOwn,
	"client/internal/eio.Engine.end: e.h.Closed":               ourOwn,
	"client/internal/eio.Engine.packets: e.h.ReadDone":         ourOwn,
	"client/internal/eio.Engine.reportUpgrade: e.h.Upgraded":   ourOwn,
	"client/internal/eio.wsTransport.ReadDone: t.e.h.ReadDone": ourOwn,
	"client/internal/eio.Engine.now: e.cfg.Now":                ourOwn, // of tests
	"client/internal/eio.Engine.nextBatch: limit":              ourOwn,

	"core.Bind: f":                                     byHandler,
	"core.Reply: f":                                    byHandler,
	"core.Guard: check":                                byHandler,
	"core.Guard: next":                                 byHandler,
	"core.probe: answer":                               ourOwn,
	"core.probe: w.Header":                             byCaller, // the HTTP server's goroutine
	"core.probe: w.WriteHeader":                        byCaller,
	"core.probe: w.Write":                              byCaller,
	"core.Socket.OnDrained: f":                         inEdge, // of engine.drainedCalls.run
	"core/engine.Session.waitLocked: done":             ourOwn,
	"core/engine.dropList.push: l.links":               ourOwn,
	"core/engine.dropList.remove: l.links":             ourOwn,
	"core.step.next: steps[i + 1].handler":             byHandler,
	"core.endpoint.run: f":                             inEdge, // of the packet's task: queuedTask.Run, Namespace.runConnectChain
	"core.endpoint.run: e.steps[0].handler":            inEdge, // likewise
	"core.chain: m":                                    atStart,
	"core.routes.with: change":                         ourOwn,
	"core.NewDataKey: json.Marshal":                    atStart,
	"core.NewDataKey: errors.AsType":                   atStart,
	"core.Options.withDefaults: opts.Validate().Error": ofStandard,
	"core.Options.allowRequest: allow":                 inEdge,   // it is what the engine calls as AllowRequest
	"core.Options.allowRequest: errors.AsType":         inEdge,   // likewise
	"core.GuardError.Error: r.Err.Error":               byCaller, // as that of core.Error
	"core.Error.Error: e.Err.Error":                    byCaller, // the log's text of an error is made in the edge
	"core.isAny: errors.Is":                            inEdge,   // Socket.causedByClient
	"core.readVariants: errors.Is":                     inEdge,   // clientFile.load
	"core.client.Close: errors.Is":                     inEdge,   // Session.tellEnd
	"core.Namespace.endedMeanwhile: errors.Is":         inEdge,   // Namespace.publish, clusterRequest.askOthers
	"core.Namespace.openLog: p.NewLog":                 inEdge,   // Namespace.joinCluster
	"core.Namespace.openLog: r.Log":                    inEdge,   // likewise
	"core.Socket.wrapSend: errors.Is":                  ofStandard,
	"core.Socket.dataByName: k.(interface{dataName() (string, bool)}).dataName": ourOwn,
	"core.Server.serveClient: x.Request":                                        inEdge, // Server.Serve
	"core.Server.background: f":                                                 ourOwn,
	"core.Server.namespaceFor: handshake":                                       ourOwn,
	"core.Broadcast.each: f":                                                    ourOwn,
	"core.variants.add: data":                                                   ourOwn,
	"core.compressed: newWriter":                                                ourOwn,
	"core.compressed: w.Write":                                                  ofStandard,
	"core.compressed: w.Close":                                                  ofStandard,
	"core.clientFile.respond: v.bodies[encoding]":                               ourOwn,
	"core.Server.observeEmission: f":                                            inEdge, // of observeHere
	"core.node.Answer: reply":                                                   ofReply,
	"core.Namespace.askClients: reply":                                          ofReply,
	"core.Namespace.askHandler: reply":                                          ofReply,
	"core.ackCollector.failed: errors.Is":                                       ofStandard,
	"core.client.protocolError: errors.Is":                                      inEdge, // wsTransport.read, Session.receivePayload
	"core.client.connect: errors.Is":                                            ofStandard,
	"core.client.connect: err.Error":                                            ofStandard,
	"core.encodingError: errors.Is":                                             byCaller,
	"core.wire.checkNumber: w.tooMany":                                          ourOwn,
	"core.Namespace.endIf: conditionLocked":                                     ourOwn,
	"core.Namespace.queueServerEvent: errors.Is":                                ofStandard,
	"core.loggedMessage.appendReturned: afterLock":                              ourOwn,
	"core.sharedFrames.get: encode":                                             ourOwn,
	"core.Server.observeAck: event":                                             ourOwn,
	"core.within: late":                                                         ourOwn,
	"core.Namespace.saveToLog: n.log.Save":                                      inEdge, // within
	"core.Namespace.claimFromLog: n.log.Claim":                                  inEdge, // within
	"core.Socket.checkSession: n.log.Compare":                                   inEdge, // Socket.claimSession
	"core.Socket.checkSession: errors.Is":                                       inEdge, // likewise
	"core.membership.has: p.log.Compare":                                        inEdge, // Socket.claimSession and Socket.resume, as all of a replay
	"core.newReplay: n.log.Compare":                                             inEdge, // likewise
	"core.replay.read: r.ns.log.Replay":                                         inEdge, // likewise
	"core.replay.advance: log.Compare":                                          inEdge, // likewise
	"core.replay.check: r.ns.log.Compare":                                       inEdge, // likewise
	"core.replay.checkPiece: end":                                               ourOwn,
	"core.replay.changesLost: r.ns.log.Compare":                                 inEdge, // likewise
	"core.replay.connectionClosed: errors.Is":                                   ofStandard,
	"core.Socket.resumePiece: end":                                              ourOwn,
	"core.Socket.resumeLast: r.ns.log.Replay":                                   inEdge, // likewise
	"core.Server.parentByName: p.pattern.match":                                 ofCreation,
	"core.Server.namespaceFor: p.pattern.match":                                 ofCreation,

	"core/adapter.MissingError.Error: e.Err.Error": byCaller, // as that of core.Error
	"core/adapter.member.runUnlocked: e.done":      ourOwn,
	"core/adapter.member.Publish: o.node.Receive":  inEdge, // member.runUnlocked
	"core/adapter.MemoryLog.Append: deliver":       ofLog,
	"core/adapter.MemoryLog.Replay: f":             ofLog,
	"core/adapter.MemoryLog.Replay: last":          ofLog,

	"core/engine.NewServer: r.Start":                       atStart,
	"core/engine.Server.forward: x.route.Forward":          byRequest,
	"core/engine.Server.forward: errors.Is":                byRequest,
	"core/engine.relayed.Upgrade: r.x.Exchange.Upgrade":    byRequest,
	"core/engine.HTTPError.Error: e.Err.Error":             byCaller, // as that of core.Error
	"core/engine.Session.start: s.server.newHandler":       byRequest,
	"core/engine.Session.callOpened: o.Opened":             byRequest,
	"core/engine.Session.receiveLocked: s.handler.Message": inEdge, // wsTransport.read, Session.receivePayload
	"core/engine.Session.callWorker: w.Work":               inEdge, // Session.runWorker, wsTransport.readEnded
	"core/engine.Session.waitForAnswer: stop":              ourOwn,
	"core/engine.Session.waitForAnswer: errors.Is":         ofStandard,
	"core/engine.Session.servePost: errors.Is":             byRequest,
	"core/engine.readBody: errors.As":                      byRequest,
	"core/engine.respond: x.Respond":                       byRequest,
	"core/engine.httpExchange.deliver: s.OnSent":           byRequest,
	"core/engine.httpExchange.deliver: x.Exchange.Respond": byRequest,
	"core/engine.httpExchange.sendWithin: s.SendWithin":    inServer,
	"core/engine.httpExchange.Upgrade: x.Exchange.Upgrade": byRequest,
	"core/engine.httpExchange.hangUp: a.HangUp":            inEdge, // httpExchange.finish; and byRequest
}

// goroutines are those that middleware and integrations start: their functions are not
// called through the edge, and have to survive what they call.
var goroutines = map[string]string{
	"middleware/auth.join":                     "Revocations.watch calls the logger and the adapter through the edge",
	"middleware/auth.watch":                    "likewise",
	"middleware/auth.sendListLater":            "Revocations.sendList is called through the edge",
	"middleware/auth.startFetchLocked":         "KeySet.load calls the client and the logger through the edge",
	"middleware/auth.onRecheck":                "Rooms.work calls everything through the edge",
	"middleware/auth.recheck":                  "it cancels a context of its own",
	"middleware/auth.resetTimerLocked":         "session.onTimer calls everything through the edge",
	"admin.Instrument":                         "Admin.run emits, which calls the adapter and the logger through the edge",
	"admin.tick":                               "feed.dataOf fetches, which calls the methods of values through the edge",
	"admin.requestSync":                        "feed.syncLocked calls nothing of the application's",
	"admin.syncLocked":                         "feed.fetch fetches, as feed.dataOf does",
	"middleware/users.join":                    "nothing of the application's is called",
	"middleware/users.begin":                   "Users.begin and Users.beat call the adapter through the edge",
	"middleware/users.beat":                    "Users.flush calls the adapter through the edge",
	"middleware/users.flushLaterLocked":        "likewise",
	"middleware/users.callLocked":              "Users.call calls OnOnline and OnOffline through the edge",
	"middleware/users.leavesLocked":            "nothing of the application's is called",
	"middleware/users.setTimerLocked":          "likewise",
	"middleware/users.reportFullLocked":        "the logger is called through the edge",
	"integrations/internal/fasthttpx.watch":    "nothing of the application's is called",
	"integrations/internal/fasthttpx.upgraded": "the engine completes what it opens on a connection",
}
