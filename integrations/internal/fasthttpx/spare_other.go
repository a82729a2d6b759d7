//go:build !unix

package fasthttpx

import "math"

// spare finds enough: other systems have no such limit.
func spare() error { return nil }

func mostDescriptors() int { return math.MaxInt32 }
