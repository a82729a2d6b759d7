// Package forward makes clusters work without sticky sessions. The load balancer may send
// every request to any server. A server that gets a request for a session of another server
// forwards it there over HTTP, and passes the answer on. A WebSocket to which a client upgrades
// is connected through as well.
//
//	redis := redisadapter.NewSharded(client)
//	router, err := forward.New(redis, forward.Options{
//		Listen:  ":7400",
//		Address: os.Getenv("POD_IP"),
//		Secret:  os.Getenv("FORWARD_SECRET"),
//	})
//	if err != nil { ... }
//	srv := sio.New(&sio.Options{Adapter: redis, SessionRouter: router})
//
// The id of a session begins with four characters that name its server. The servers tell each
// other over the broker who has which name, and where it can be reached.
package forward
