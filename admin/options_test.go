package sioadmin_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	sioadmin "github.com/sioplug/sioplug/admin"
	sio "github.com/sioplug/sioplug/core"
)

func TestWrongOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*sioadmin.Options){
		"Options.Username or PasswordHash is empty: set both, or NoAuth for development": func(o *sioadmin.Options) { o.Username = "" },
		"Options.Username or PasswordHash is empty":                                      func(o *sioadmin.Options) { o.PasswordHash = "" },
		"Options.PasswordHash is no hash of bcrypt: make one by HashPassword: ":          func(o *sioadmin.Options) { o.PasswordHash = password },
		"Options.PasswordHash is that of an empty password":                              func(o *sioadmin.Options) { o.PasswordHash = hashOf("") },
		"Options.PasswordHash has cost 20: use 15 at most, because each attempt to sign in takes that time": func(o *sioadmin.Options) {
			o.PasswordHash = strings.Replace(o.PasswordHash, "$04$", "$20$", 1)
		},
		"Options.NoAuth is set, and so are Username or PasswordHash: decide for one of them": func(o *sioadmin.Options) { o.NoAuth = true },
		"Options.NoAuth is for the mode Development: set Username and PasswordHash": func(o *sioadmin.Options) {
			*o = sioadmin.Options{NoAuth: true}
		},
		"Options.Mode is 2: use Production or Development":                func(o *sioadmin.Options) { o.Mode = 2 },
		"Options.SessionKey has 31 bytes: use 32 random bytes or more":    func(o *sioadmin.Options) { o.SessionKey = make([]byte, 31) },
		"SessionDuration, MaxEventsPerSecond or MaxSockets of the option": func(o *sioadmin.Options) { o.MaxSockets = -1 },
		"Options.Namespace is /: use another one, because the sign-in would be that of all clients": func(o *sioadmin.Options) {
			o.Namespace = "/"
		},
		"namespace /chat exists already: set Options.Namespace, and call Instrument once for each server": func(o *sioadmin.Options) {
			o.Namespace = "/chat"
		},
		"namespace /tenant-1 is one of a pattern of the application: set Options.Namespace": func(o *sioadmin.Options) {
			o.Namespace = "/tenant-1"
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			srv := sio.New(nil)
			t.Cleanup(func() { must(t, srv.Shutdown(context.WithoutCancel(t.Context()))) })
			srv.Of("/chat")
			srv.OfRegexp(regexp.MustCompile(`^/tenant-\d$`))
			o := options(sioadmin.Production)
			change(&o)
			if _, err := sioadmin.Instrument(srv, o); err == nil || !strings.HasPrefix(err.Error(), "sioadmin: "+want) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestInstrumentTwice(t *testing.T) {
	t.Parallel()
	bubble(t, options(sioadmin.Production), func(t *testing.T, w *world) {
		if _, err := sioadmin.Instrument(w.srv, options(sioadmin.Production)); err == nil {
			t.Error("a server can be instrumented twice")
		}
	})
}

func TestHashPassword(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"", strings.Repeat("x", 73)} {
		if _, err := sioadmin.HashPassword(wrong); err == nil {
			t.Errorf("a password of %d bytes has a hash", len(wrong))
		}
	}
}
