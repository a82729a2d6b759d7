package main

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/sioplug/sioplug/bench/internal/app"
)

// A script is what a client says, message by message, and what it must hear. No
// two messages are equal, so that none can be taken for another.
type script struct {
	request, answer func(dst []byte, client, seq int) []byte // text of the packets
	attachment      func(dst []byte, client, seq int) []byte // of both, if not nil
}

// appendTag appends what tells messages apart.
func appendTag(dst []byte, client, seq int) []byte {
	dst = strconv.AppendInt(dst, int64(client), 10)
	dst = append(dst, '.')
	return strconv.AppendInt(dst, int64(seq), 10)
}

// padding returns a function that appends a tag, and fills up to size bytes.
func padding(size int) func(dst []byte, client, seq int) []byte {
	pad := strings.Repeat("x", size)
	return func(dst []byte, client, seq int) []byte {
		start := len(dst)
		dst = appendTag(dst, client, seq)
		return append(dst, pad[min(size, len(dst)-start):]...)
	}
}

func textScript(size int) script {
	padded := padding(size)
	echo := func(dst []byte, client, seq int) []byte {
		dst = append(dst, `42["echo","`...)
		return append(padded(dst, client, seq), `"]`...)
	}
	return script{request: echo, answer: echo}
}

func ackScript(size int) script {
	padded := padding(size)
	return script{
		request: func(dst []byte, client, seq int) []byte {
			dst = strconv.AppendInt(append(dst, "42"...), int64(seq), 10)
			dst = append(dst, `["echoAck","`...)
			return append(padded(dst, client, seq), `"]`...)
		},
		answer: func(dst []byte, client, seq int) []byte {
			dst = strconv.AppendInt(append(dst, "43"...), int64(seq), 10)
			dst = append(dst, `["`...)
			return append(padded(dst, client, seq), `"]`...)
		},
	}
}

func binaryScript(size int) script {
	echo := func(dst []byte, _, _ int) []byte {
		return append(dst, `451-["bin",{"_placeholder":true,"num":0}]`...)
	}
	return script{request: echo, answer: echo, attachment: padding(size)}
}

// jsonScript sends a document of about size bytes, in the form that encoders of
// Go, JavaScript and Rust give it: the answer is equal, byte by byte.
func jsonScript(size int) script {
	const tag = "TAG"
	order := app.Order{
		ID: tag, UserID: 90071992, Created: "2026-01-05T12:34:56.789Z", Paid: true, Total: 1249.5,
		Note:     "Bitte beim Nachbarn abgeben, Türcode 12 – danke schön!",
		Address:  map[string]string{"city": "Zürich", "country": "CH", "street": "Bahnhofstrasse 1"},
		Position: []float64{47.3769, 8.5417, 408.5},
	}
	var document string
	for i := 0; len(document) < size; i++ {
		b, err := json.Marshal(order)
		if err != nil {
			panic(err) //nolint:forbidigo // an Order can be encoded
		}
		document = string(b)
		order.Items = append(order.Items, app.Item{
			SKU: "SKU-" + strconv.Itoa(10_000+37*i), Name: "Keyboard, model " + strconv.Itoa(i), Qty: 1 + i,
			Price: 19.99 + float64(i), Tags: []string{"office", "sale", "new"},
		})
	}
	head, tail, _ := strings.Cut(document, tag)
	echo := func(dst []byte, client, seq int) []byte {
		dst = append(append(dst, `42["json",`...), head...)
		return append(append(appendTag(dst, client, seq), tail...), ']')
	}
	return script{request: echo, answer: echo}
}
