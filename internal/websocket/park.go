package websocket

import "github.com/sioplug/sioplug/internal/parking"

// ParkIn gives the connection a place to be parked, unless lot is nil. It must be called
// before Serve.
func (c *Conn) ParkIn(lot *parking.Lot) { c.place = lot.NewPlace() }

// Park waits for more input without a goroutine. [Handler.ReadDone] calls it in order to
// return false. When there is input, or the connection is being closed, w.Resume is called,
// which has to begin a goroutine that calls Serve. If Park returns false, w.Resume is not
// called: the connection has no place, or is no plain socket, or is not open.
func (c *Conn) Park(w parking.Waiter) bool {
	if c.raw == nil || c.readErr != nil || c.state.Load() != stateOpen || !c.place.Park(c.raw, w) {
		return false
	}
	if c.state.Load() != stateOpen { // and it may have been parked after resume had looked
		c.resume()
	}
	return true
}

// resume has the connection read again, if it is parked.
func (c *Conn) resume() {
	if w := c.place.Unpark(); w != nil {
		w.Resume()
	}
}
