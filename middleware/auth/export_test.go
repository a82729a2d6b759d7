package auth

// For tests.
var (
	StaysSecure = staysSecure
	RoomsIn     = roomsIn
	TokenIn     = tokenIn
)
