package sioadmin

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func testOptions() *Options {
	return &Options{Username: "admin", PasswordHash: "hash", SessionKey: make([]byte, minSessionKey), SessionDuration: time.Hour}
}

// Attempts from many addresses are limited together, and one address cannot use up what
// all have.
func TestAttemptsOfManyAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(testOptions())
		allowed := func(n int, address func(i int) string) (count int) {
			for i := range n {
				if d.mayTry(t.Context(), address(i)) == 0 {
					count++
				}
			}
			return count
		}
		if got := allowed(1000, func(int) string { return "10.0.0.1" }); got != 5 {
			t.Errorf("one address may try %d times, want 5", got)
		}
		if got := allowed(1000, func(i int) string { return fmt.Sprintf("2001:db8::%x", i) }); got != 5 {
			t.Errorf("one network may try %d times, want 5", got)
		}
		if got := allowed(1000, func(i int) string { return fmt.Sprintf("10.1.%d.%d", i/250, i%250) }); got != 10 {
			t.Errorf("many addresses may try %d times, want the 10 that are left of 20", got)
		}
		time.Sleep(3 * time.Second)
		if got := allowed(1000, func(i int) string { return fmt.Sprintf("10.2.%d.%d", i/250, i%250) }); got != 6 {
			t.Errorf("3 s later they may try %d times, want 6", got)
		}
		if got := d.attempts.Len(); got > maxAddresses {
			t.Errorf("%d buckets are kept", got)
		}
	})
}

// A check that waits for others gives up, with its client or after a while.
func TestCheckWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(testOptions())
		d.hashing <- struct{}{}
		start := time.Now()
		if _, err := d.check(t.Context(), "admin", "x"); err == nil || time.Since(start) != hashWait {
			t.Errorf("the check ended after %v with %v", time.Since(start), err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.check(gone, "admin", "x"); err == nil {
			t.Error("the check goes on without its client")
		}
	})
}

func TestAddressKey(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "192.0.2.1:80": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1",
		"2001:db8::1": "2001:db8::/64", "[2001:db8::2]:80": "2001:db8::/64", "fe80::1%eth0": "fe80::/64",
		"1.1.1.1, 192.0.2.1": "192.0.2.1", "": "unknown", "pipe": "unknown", "@": "unknown",
	} {
		if got := addressKey(address); got != want {
			t.Errorf("the key of %q is %s, want %s", address, got, want)
		}
	}
}

// No text but that of a session is valid.
func FuzzSession(f *testing.F) {
	o := testOptions()
	o.SessionKey = nil // another one in each of the fuzzer's processes
	s := newSessionSigner(o)
	good := s.newSession()
	f.Add(good)
	f.Add(good + "A")
	f.Add(good[1:])
	f.Add("")
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, sessionSize)))
	f.Fuzz(func(t *testing.T, text string) {
		if s.valid(text) != (text == good) {
			t.Errorf("%q is valid: %v", text, s.valid(text))
		}
	})
}

// Each bit of a session counts.
func TestTamperedSessions(t *testing.T) {
	t.Parallel()
	s := newSessionSigner(testOptions())
	good, err := base64.RawURLEncoding.DecodeString(s.newSession())
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		if s.valid(base64.RawURLEncoding.EncodeToString(bad)) {
			t.Errorf("a session with another byte %d is valid", i)
		}
	}
}
