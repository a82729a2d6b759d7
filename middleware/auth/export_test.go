package auth

// For tests.
var (
	StaysSecure = staysSecure //nolint:gochecknoglobals // a function
	RoomField   = roomField   //nolint:gochecknoglobals // likewise
)
