package sioadmin

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sioplug/sioplug/core/engine"
)

// A Mode says what the Admin UI is told.
type Mode uint8

// The modes.
const (
	// Production tells numbers: clients, packets and bytes. It costs next to nothing.
	Production Mode = iota

	// Development also tells of each socket, its data and its rooms, and of events with
	// their arguments. It is for development and small servers.
	Development
)

// String returns the name of the mode.
func (m Mode) String() string {
	if m == Development {
		return "development"
	}
	return "production"
}

// Options are settings of [Instrument]. A zero value means the default. Username and
// PasswordHash are required, unless NoAuth is set.
type Options struct {
	// Username and PasswordHash sign in. The hash is made by bcrypt: see [HashPassword].
	Username     string
	PasswordHash string

	// NoAuth lets everybody in who can connect. It is for [Development] alone.
	NoAuth bool

	Mode Mode // Production by default

	// ReadOnly takes the operations away: nobody can disconnect clients, or have them
	// join or leave rooms.
	ReadOnly bool

	// Namespace is that of the UI, "/admin" by default. The application must not use it.
	Namespace string

	// ServerID names the server in the UI. All servers of a cluster need different names.
	// The default is the name of the host and a random number.
	ServerID string

	// SessionKey is a secret of at least 32 bytes that signs sessions: a page of the UI that
	// is loaded again needs no password. All servers of a cluster need the same key. The
	// default is a random key, so a session ends with its server.
	SessionKey []byte

	// SessionDuration is how long a session lasts, a day by default.
	SessionDuration time.Duration

	// ShowHeaders and ShowQuery are names of more headers, and of parameters of the
	// query, that the UI may see. It sees harmless ones anyway: see docs/admin.md.
	ShowHeaders []string
	ShowQuery   []string

	// MaxEventsPerSecond is how many events are shown in Development, 100 by default.
	// Others are counted.
	MaxEventsPerSecond int

	// MaxSockets is how many sockets a page of the UI gets when it is loaded in
	// Development, 10,000 by default.
	MaxSockets int

	// OnOperation is called after each operation, for an audit. It must not block.
	OnOperation func(Operation)
}

const (
	defaultNamespace       = "/admin"
	defaultSessionDuration = 24 * time.Hour
	defaultMaxEvents       = 100
	defaultMaxSockets      = 10_000

	minSessionKey = 32

	// maxHashCost bounds the time of a sign-in: 15 takes about two seconds.
	maxHashCost = 15
)

// HashPassword returns a hash of a password for [Options.PasswordHash]. The password must
// have 1 to 72 bytes.
func HashPassword(password string) (string, error) {
	if password == "" {
		return "", errors.New("sioadmin: HashPassword got an empty password")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return "", fmt.Errorf("sioadmin: hashing the password: %w", err)
	}
	return string(hash), nil
}

func (o Options) withDefaults() (Options, error) {
	if err := o.checkCredentials(); err != nil {
		return o, err
	}
	switch {
	case o.Mode > Development:
		return o, fmt.Errorf("sioadmin: Options.Mode is %d: use Production or Development", o.Mode)
	case len(o.SessionKey) > 0 && len(o.SessionKey) < minSessionKey:
		return o, fmt.Errorf("sioadmin: Options.SessionKey has %d bytes: use %d random bytes or more", len(o.SessionKey), minSessionKey)
	case o.SessionDuration < 0 || o.MaxEventsPerSecond < 0 || o.MaxSockets < 0:
		return o, errors.New("sioadmin: SessionDuration, MaxEventsPerSecond or MaxSockets of the options is negative: leave it 0 for the default")
	}
	o.Namespace = "/" + strings.TrimPrefix(cmp.Or(o.Namespace, defaultNamespace), "/")
	if o.Namespace == "/" {
		return o, errors.New("sioadmin: Options.Namespace is /: use another one, because the sign-in would be that of all clients")
	}
	o.SessionDuration = cmp.Or(o.SessionDuration, defaultSessionDuration)
	o.MaxEventsPerSecond = cmp.Or(o.MaxEventsPerSecond, defaultMaxEvents)
	o.MaxSockets = cmp.Or(o.MaxSockets, defaultMaxSockets)
	if o.ServerID == "" {
		const random = 6
		host, _ := os.Hostname() // "" is as good as any
		o.ServerID = cmp.Or(host, "server") + "#" + engine.NewID()[:random]
	}
	return o, nil
}

// checkCredentials refuses what would let everybody in, or nobody.
func (o Options) checkCredentials() error {
	if o.NoAuth {
		switch {
		case o.Username != "" || o.PasswordHash != "":
			return errors.New("sioadmin: Options.NoAuth is set, and so are Username or PasswordHash: decide for one of them")
		case o.Mode != Development:
			return errors.New("sioadmin: Options.NoAuth is for the mode Development: set Username and PasswordHash")
		}
		return nil
	}
	if o.Username == "" || o.PasswordHash == "" {
		return errors.New("sioadmin: Options.Username or PasswordHash is empty: set both, or NoAuth for development")
	}
	cost, err := bcrypt.Cost([]byte(o.PasswordHash))
	switch {
	case err != nil:
		return fmt.Errorf("sioadmin: Options.PasswordHash is no hash of bcrypt: make one by HashPassword: %w", err)
	case cost > maxHashCost:
		return fmt.Errorf("sioadmin: Options.PasswordHash has cost %d: use %d at most, because each attempt to sign in takes that time", cost, maxHashCost)
	case bcrypt.CompareHashAndPassword([]byte(o.PasswordHash), nil) == nil:
		return errors.New("sioadmin: Options.PasswordHash is that of an empty password")
	}
	return nil
}
