//go:build race

package sio_test

// The race detector makes everything several times slower.
const raceDetector = true
