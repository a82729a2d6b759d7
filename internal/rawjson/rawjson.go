// Package rawjson checks JSON text (RFC 8259) and walks through it without building
// anything, writes the parts of it that need care, and knows the objects in it
// that stand for binary values in Socket.IO packets.
package rawjson
