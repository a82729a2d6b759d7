package engine //nolint:testpackage // it is about what is not exported

import "testing"

// Bodies that have been read wait for the handlers of those before, and nothing
// else bounds how many.
func TestPostsThatWaitForHandlersAreBounded(t *testing.T) {
	s, x := new(Session), new(httpExchange)
	for i := range maxPendingPosts {
		if !s.beginPost(x) {
			t.Fatalf("POST %d is refused", i)
		}
		if s.beginPost(x) {
			t.Fatal("one is accepted while another is read")
		}
		s.endPost(true)
	}
	if s.beginPost(x) {
		t.Error("one more is accepted")
	}
	s.postHandled()
	if !s.beginPost(x) {
		t.Error("none is accepted when one has been handled")
	}
	s.endPost(false) // it was broken
	if !s.beginPost(x) {
		t.Error("one that was not handled counts")
	}
}
