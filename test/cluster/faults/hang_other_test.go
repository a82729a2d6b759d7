//go:build !unix

package faults_test

func (b *natsBroker) hang() (goOn func()) {
	b.t.Helper()
	b.t.Skip("processes cannot be stopped here")
	return func() {}
}
