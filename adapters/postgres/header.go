package postgresadapter

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/clusterwire"
)

// maxPayload is how many bytes a notification has at most. The official adapter takes 8,000,
// which PostgreSQL refuses (CAP-F-8).
const maxPayload = 7999

const attachmentID = "attachmentId"

var errHeader = errors.New("postgresadapter: the notification names no row of the table")

// appendHeader appends a notification that names a row of the table, up to the number of the
// row.
func appendHeader(dst []byte, p *cluster.Packet) ([]byte, error) {
	var err error
	dst = append(dst, '{')
	if p.From != "" {
		if dst, err = clusterwire.AppendString(append(dst, `"uid":`...), p.From); err != nil {
			return dst, fmt.Errorf("postgresadapter: encoding a packet of type %d: %w", p.Type, err)
		}
		dst = append(dst, ',')
	}
	dst = strconv.AppendUint(append(dst, `"type":`...), uint64(p.Type), 10)
	return append(dst, `,"`+attachmentID+`":"`...), nil
}

// readHeader returns the number of the row that a notification names, or 0 if the notification
// is the message itself.
func readHeader(payload []byte) (id int64, err error) {
	if !bytes.Contains(payload, []byte(attachmentID)) || !clusterwire.Is(payload) {
		return 0, nil
	}
	message, _, err := clusterwire.Read(payload)
	if err != nil {
		return 0, fmt.Errorf("postgresadapter: decoding a notification: %w", err)
	}
	err = clusterwire.Members(message, func(name, value []byte) (err error) {
		if string(name) != attachmentID || clusterwire.Present(value) == nil {
			return nil
		}
		text, err := clusterwire.String(value)
		if err == nil {
			id, err = strconv.ParseInt(text, 10, 64)
		}
		if err != nil || id <= 0 || id == math.MaxInt64 {
			return errHeader
		}
		return nil
	})
	return id, err
}
