package natsadapter

import "time"

// SetLocalWait sets how long own clients wait for JetStream. Tests wait longer than half a second,
// because the machine may be busy.
func SetLocalWait(c *JetStreamCluster, d time.Duration) { c.logs.LocalWait = d }
