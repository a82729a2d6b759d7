// Package parking waits for the input of idle connections, without a goroutine for each of
// them. A goroutine that waits costs 2 KiB of stack and the runtime's part. A [Place]
// in a [Lot] costs 48 bytes, and some 200 in the kernel.
package parking

// A Waiter is told when its connection has to be read again. Resume must not block.
type Waiter interface{ Resume() }
