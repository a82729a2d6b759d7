package labels_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/sioplug/sioplug/internal/labels"
)

const other = "other"

func TestBounded(t *testing.T) {
	t.Parallel()
	s := labels.Set[string, *string]{Max: 2}
	for range s.All() {
		t.Error("not empty")
	}
	made := 0
	get := func(key string) string {
		return *s.Get(key, other, func(key string) *string { made++; return &key })
	}
	for _, c := range [][2]string{{"a", "a"}, {"b", "b"}, {"c", other}, {"a", "a"}, {"d", other}, {other, other}, {"b", "b"}} {
		if got := get(c[0]); got != c[1] {
			t.Errorf("%s is %s, want %s", c[0], got, c[1])
		}
	}
	for key, want := range map[string]bool{"a": true, "c": false, other: true} {
		if v, ok := s.Find(key); ok != want || ok && *v != key {
			t.Errorf("found for %s: %v", key, ok)
		}
	}
	all := make(map[string]bool)
	for v := range s.All() {
		all[*v] = true
	}
	if made != 3 || len(all) != 3 || !all["a"] || !all["b"] || !all[other] {
		t.Errorf("%d were made: %v", made, all)
	}
}

func TestAllocations(t *testing.T) { //nolint:paralleltest // it counts
	s := labels.Set[string, int]{Max: 1}
	s.Get("a", other, func(string) int { return 1 })
	if allocs := testing.AllocsPerRun(100, func() {
		s.Get("a", other, func(string) int { return 2 })
		s.Get("unknown", other, func(string) int { return 3 })
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	s := labels.Set[int, *int]{Max: 50}
	var all sync.WaitGroup
	first := make([][]*int, 4)
	for g := range first {
		all.Go(func() {
			for range 2 {
				for i := range 60 {
					first[g] = append(first[g], s.Get(i, -1, func(k int) *int { return &k }))
				}
			}
		})
	}
	all.Wait()
	for g, got := range first {
		for i, v := range got {
			if *v != -1 && *v != i%60 {
				t.Fatalf("goroutine %d: %d is %d", g, i%60, *v)
			}
			if *v == i%60 && v != s.Get(*v, -1, nil) {
				t.Fatalf("%d was made twice", *v)
			}
		}
	}
}

// The memory of a key may change after the call.
func TestCopies(t *testing.T) {
	t.Parallel()
	s := labels.Set[string, string]{Max: 2}
	copies := 0
	clone := func(k string) string { copies++; return strings.Clone(k) }
	for range 3 {
		if got := s.GetCopy("a", other, clone, func(k string) string { return k }); got != "a" {
			t.Error(got)
		}
	}
	if copies != 1 {
		t.Errorf("%d copies", copies)
	}
}
