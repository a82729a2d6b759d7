//go:build unix

package siofiber_test

import "testing"

func TestProgramEndedForWantOfDescriptors(t *testing.T) { framework.Descriptors(t) }
