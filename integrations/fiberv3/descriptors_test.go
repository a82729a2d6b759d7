//go:build unix

package siofiberv3_test

import "testing"

func TestProgramEndedForWantOfDescriptors(t *testing.T) { framework.Descriptors(t) }
