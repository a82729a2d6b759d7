package interval_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sioplug/sioplug/internal/interval"
)

func TestLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l interval.Limit
		for range 3 {
			if !l.Allow(time.Minute) {
				t.Error("it is time")
			}
			time.Sleep(time.Minute - time.Nanosecond)
			if l.Allow(time.Minute) {
				t.Error("it is too early")
			}
			time.Sleep(time.Nanosecond)
		}
	})
}

func TestLimitAllowsOneOfMany(t *testing.T) {
	t.Parallel()
	var l interval.Limit
	allowed := make(chan bool, 100)
	for range cap(allowed) {
		go func() { allowed <- l.Allow(time.Hour) }()
	}
	n := 0
	for range cap(allowed) {
		if <-allowed {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d were allowed", n)
	}
}
