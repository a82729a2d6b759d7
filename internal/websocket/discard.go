package websocket

// Discard reads and ignores input until the peer closes or the time of
// [Conn.CloseWithin] is over. Without it, the kernel would reset a connection with unread
// input, before the peer has seen the close frame. It must not overlap Serve.
func (c *Conn) Discard() {
	if c.state.Load() == stateClosed { // as after the peer's own close frame
		return
	}
	var buf [512]byte
	for {
		if _, err := c.nc.Read(buf[:]); err != nil {
			return
		}
	}
}
