package rawjson

// A Cursor moves through JSON that [Scan] has found valid, so that nothing here
// needs to check it again.
type Cursor struct {
	P []byte // the JSON
	I int    // where the cursor is
}

// Peek skips space and returns the byte behind it.
func (c *Cursor) Peek() byte {
	c.I = SkipSpace(c.P, c.I)
	return c.P[c.I]
}

// More steps over the opening bracket or brace of an array or object, or over the
// comma behind an element, and reports whether there is an element. If not, it steps
// over the closing one.
func (c *Cursor) More() bool {
	b := c.Peek()
	if b == '[' || b == '{' || b == ',' {
		c.I++
		b = c.Peek()
		if b != ']' && b != '}' {
			return true
		}
	}
	c.I++
	return false
}

// Str steps over a string, at whose opening quote the cursor is, and returns what
// stands between its quotes.
func (c *Cursor) Str() []byte {
	start := c.I + 1
	c.I = scanString(c.P, start)
	return c.P[start : c.I-1]
}

// Name steps over an object member's name and the colon behind it.
func (c *Cursor) Name() []byte {
	c.Peek()
	name := c.Str()
	c.Peek()
	c.I++
	return name
}

// Scalar steps over a number, true, false or null, at whose first byte the cursor
// is, and returns it.
func (c *Cursor) Scalar() []byte {
	start := c.I
	for c.I < len(c.P) && !endsScalar(c.P[c.I]) {
		c.I++
	}
	return c.P[start:c.I]
}

func endsScalar(b byte) bool { return b == ',' || b == ']' || b == '}' || IsSpace(b) }

// Value steps over any value and returns it, without the space around it.
func (c *Cursor) Value() []byte {
	first := c.Peek()
	start := c.I
	switch first {
	case '"':
		c.Str()
	case '[', '{':
		c.skipNested()
	default:
		c.Scalar()
	}
	return c.P[start:c.I]
}

// skipNested steps over an array or object by counting brackets.
func (c *Cursor) skipNested() {
	for depth := 0; ; {
		switch c.P[c.I] {
		case '"':
			c.Str()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				c.I++
				return
			}
		}
		c.I++
	}
}
