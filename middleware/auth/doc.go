// Package auth authenticates clients with JSON Web Tokens. A client without a valid
// token cannot connect to the namespace, and it is disconnected when its token expires:
//
//	chat.UseConnect(auth.Require(auth.HS256[Claims](secret)))
//
// Here, Claims is a struct that embeds [jwt.RegisteredClaims], or [Identity], which also
// has scopes and roles. In handlers, [Claims] returns the claims of the token:
//
//	user := auth.Claims[Claims](c.Socket).Subject
//
// # Tokens
//
// The official client sends its token with io(url, {auth: {token}}). If there is none,
// [Require] takes the token of an Authorization header, "Bearer ...". Options add more
// places: a cookie ([FromCookie]), another header ([FromHeader]), or the URL
// ([FromQuery]).
//
// The claim sub identifies the user. If your issuer puts the user elsewhere, use
// [SubjectOf]. A client whose token has no subject can connect, but the server cannot
// recognize the same user later: [Refresh] refuses the token, and the session is not
// recovered.
//
// A verifier accepts one algorithm with one type of key. The header of a token has no
// influence on how the token is verified. [JWKS] takes the keys from a key set. It keeps
// them, and fetches them again when they are rotated.
//
// # The end of a token
//
// A minute before the token of a socket expires, the server sends the event
// [EventExpiring], {expiresIn: seconds}. The client can answer with a new token and stay
// connected, if there is a handler for that:
//
//	chat.On("authenticate", auth.Refresh(auth.HS256[Claims](secret)))
//
// Otherwise, the server sends [EventExpired] and disconnects the socket. [RevokeSubject]
// and [RevokeToken] disconnect sockets at once, on all servers of a cluster. [Revoked]
// refuses their tokens later, by a list of yours, or by [Revocations], which servers share.
//
// # Permissions
//
// [Scope], [Role], [Check] and [Join] are middleware for one event or for all events:
//
//	chat.On("post", post, auth.Scope("chat:write"))
//
// [NewRooms] decides which users may be in which rooms, and checks that again when rights
// change.
//
// # Errors
//
// A client that is refused gets an error with a code: see [Code]. The reason why a token
// is not valid is only in the log, at Debug. Tokens are never logged.
package auth
