package main

import "testing"

// TestCompatibilityIsUpToDate keeps docs/compatibility.md true: a row that it
// calls tested has a test with the row's id in its name.
func TestCompatibilityIsUpToDate(t *testing.T) {
	t.Parallel()
	if err := run("../..", false); err != nil {
		t.Error(err)
	}
}

func TestARowWithoutTestNeedsAReason(t *testing.T) {
	t.Parallel()
	text := "| EIO-X-1 | as the reference | old |\n| EIO-X-2 | better |  |\n| EIO-X-3 | later |  |"
	got, missing := fill(text, map[string][]string{"EIO-X-1": {"a_test.go"}})
	want := "| EIO-X-1 | as the reference | a_test.go |\n| EIO-X-2 | better |  |\n| EIO-X-3 | later |  |"
	if got != want || len(missing) != 1 || missing[0] != "EIO-X-2" {
		t.Errorf("got %q, missing %v", got, missing)
	}
}

func TestIDsAreFoundInStringsOnly(t *testing.T) {
	t.Parallel()
	got := ids("// EIO-A-1 in a comment\nt.Run(\"EIO-A-2 and EIO-B-3..5\", f) // EIO-A-9\ntest('SIO-C-4b x')")
	want := []string{"EIO-A-2", "EIO-B-3", "EIO-B-4", "EIO-B-5", "SIO-C-4b"}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}
