//go:build !race

package sio_test

const raceDetector = false
