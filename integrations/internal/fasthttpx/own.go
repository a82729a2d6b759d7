package fasthttpx

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// Own makes the memory of a request that of its socket. fasthttp would use it again
// for the next request of the connection, and every string that a framework returns of
// a request is that memory: also those in structs, maps, contexts and functions, which
// nobody can find and copy. So the request gets new memory with the same in it, and
// the old one is never written again. The garbage collector frees what nobody refers to.
//
// What follows in the handlers around the mount sees no difference.
func Own(ctx *fasthttp.RequestCtx) {
	req, res := &ctx.Request, &ctx.Response

	uri := leave(ctx.URI())
	uri.CopyTo(ctx.URI())

	args := leave(req.PostArgs())
	args.CopyTo(req.PostArgs())

	header := leave(&req.Header)
	header.CopyTo(&req.Header)

	answer := leave(&res.Header)
	answer.CopyTo(&res.Header)

	ownBody(req)
	if !res.IsBodyStream() && len(res.Body()) > 0 {
		res.SwapBody(nil) // there will be another one
	}
}

// leave returns what is in p, and leaves nothing there. fasthttp forbids copies of its
// types since two of them would share their memory. Here one is empty.
func leave[T any](p *T) *T {
	left := new(T)
	swap(left, p)
	return left
}

func swap[T any](a, b *T) { *a, *b = *b, *a }

// ownBody does for the body what Own does for the rest. A stream has no memory yet, and
// the parts of a form are nobody else's.
func ownBody(req *fasthttp.Request) {
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
