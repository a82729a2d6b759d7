package websocket

// Discard reads and ignores what the peer still sends, until it closes or
// [Conn.CloseWithin]'s time is up. After a violation made Serve return, this
// keeps the kernel from resetting the connection for unread input before the
// peer has seen the close frame. It must not overlap Serve.
func (c *Conn) Discard() {
	var buf [512]byte
	for {
		if _, err := c.nc.Read(buf[:]); err != nil {
			return
		}
	}
}
