package engine

// Remembered returns the number of sessions that requests may refer to, or whose
// connection is not closed: those that count, and those that have ended and not
// been forgotten.
func (e *Server) Remembered() int { return e.remembered() }
