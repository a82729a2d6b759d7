// Package auth lets nobody into a namespace without a token, and sees to it that
// nobody stays longer than the token lasts. One line:
//
//	chat.UseConnect(auth.Require(auth.HS256[Claims](secret)))
//
// where Claims is a struct that embeds [jwt.RegisteredClaims], or [Identity],
// which has scopes and roles. In handlers, [Claims] returns what the token said:
//
//	user := auth.Claims[Claims](c.Socket).Subject
//
// # Tokens
//
// The official client sends its token with io(url, {auth: {token}}). Without one
// there, [Require] takes that of an Authorization header, "Bearer ..."; and if
// asked to, that of a cookie ([FromCookie]), of another header ([FromHeader]), or of
// the URL ([FromQuery]).
//
// The claim sub says whose a token is. For issuers that put that elsewhere there is
// [SubjectOf]. A token without a subject lets its client in, but nobody can tell later
// that it is the same user: [Refresh] refuses it, and a session is not recovered.
//
// Verifiers accept one algorithm with one type of key: what a token's header says
// has no influence on how it is verified. [JWKS] takes keys from a key set of the
// same kind, which it keeps, and fetches again as keys are rotated.
//
// # The end of a token
//
// A minute before its token expires, a socket is sent the event [EventExpiring],
// {expiresIn: seconds}. The client can answer with a new token, without losing
// its connection, if there is a handler for that:
//
//	chat.On("authenticate", auth.Refresh(auth.HS256[Claims](secret)))
//
// Otherwise it is sent [EventExpired] and disconnected. [RevokeSubject] and
// [RevokeToken] disconnect at once, on all servers of a cluster.
//
// # Permissions
//
// [Scope], [Role], [Check] and [Join] are middleware for one event, or for all:
//
//	chat.On("post", post, auth.Scope("chat:write"))
//
// # What clients are told
//
// A client that is refused gets an error with a code: see [Code]. Why a token is
// no good is only in the log, at Debug; tokens themselves are in no log.
package auth
