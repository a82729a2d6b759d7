package fasthttpx

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// Detach leaves the memory of a request to its socket. fasthttp would use it again
// for the next request of the connection, and every string that a framework returns of
// a request is that memory: also those in structs, maps, contexts and functions, which
// nobody can find and copy. So the request gets new memory with the same in it, and
// the old one is never written again. The garbage collector frees what nobody refers to.
//
// What follows in the handlers around the mount sees no difference.
func Detach(ctx *fasthttp.RequestCtx) {
	req, res := &ctx.Request, &ctx.Response

	uri := detach(ctx.URI())
	uri.CopyTo(ctx.URI())

	args := detach(req.PostArgs())
	args.CopyTo(req.PostArgs())

	header := detach(&req.Header)
	header.CopyTo(&req.Header)

	answer := detach(&res.Header)
	answer.CopyTo(&res.Header)

	detachBody(req)
	if !res.IsBodyStream() && len(res.Body()) > 0 {
		res.SwapBody(nil) // there will be another one
	}
}

// detach returns what is in p, and leaves a zero value there. fasthttp forbids copies of its
// types since two of them would share their memory. Here one is empty.
func detach[T any](p *T) *T {
	left := new(T)
	swap(left, p)
	return left
}

func swap[T any](a, b *T) { *a, *b = *b, *a }

// detachBody does for the body what Detach does for the rest. A stream has no memory yet, and
// the parts of a form are nobody else's.
func detachBody(req *fasthttp.Request) {
	if req.IsBodyStream() {
		return
	}
	var body []byte
	if !bytes.HasPrefix(req.Header.ContentType(), []byte("multipart/form-data")) {
		body = req.Body() // what a handler may have set instead
	}
	if was := req.SwapBody(nil); len(body) == 0 {
		body = was
	}
	if len(body) > 0 {
		req.SetBody(body)
	}
}
