package engine

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"github.com/sioplug/sioplug/internal/frame"
	"github.com/sioplug/sioplug/internal/payload"
	"github.com/sioplug/sioplug/internal/rescue"
)

// The parts of verification that are up to the user: middleware for every
// request, and for a handshake, whether it is welcome and what its session is
// called.

// runMiddleware runs the functions of Options.UseRequest.
func (e *Server) runMiddleware(x *httpExchange) *refusal {
	for _, f := range e.opts.UseRequest {
		err := rescue.Apart(func() error { return f(x.responseHeader(), x.Request()) })
		if err == nil {
			continue
		}
		e.logRefusal("UseRequest", err)
		h := httpError(err)
		if h == nil {
			return middlewareFailed()
		}
		return customResponse(h.response(x.upgrade))
	}
	return nil
}

// middlewareFailed is EIO-VF-12. What went wrong is not for the client to know.
func middlewareFailed() *refusal { return badRequest("MIDDLEWARE_FAILURE") }

// response is the error as a middleware's own answer (EIO-MW-2).
func (e *HTTPError) response(upgrade bool) Response {
	h := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	if upgrade {
		h.Set("Connection", "close")
	}
	return Response{Status: cmp.Or(e.Status, http.StatusForbidden), Header: h, Body: []byte(e.text())}
}

// callAllowRequest asks Options.AllowRequest (EIO-VF-8).
func (e *Server) callAllowRequest(x *httpExchange) *refusal {
	if e.opts.AllowRequest == nil {
		return nil
	}
	err := rescue.Apart(func() error { return e.opts.AllowRequest(x.Request()) })
	if err == nil {
		return nil
	}
	e.logRefusal("AllowRequest", err)
	return forbidden(err)
}

// assignID gives the session an id that it is going to have (EIO-VF-10).
func (e *Server) assignID(x *httpExchange) *refusal {
	if e.opts.GenerateID == nil {
		x.sid = NewID()
		return nil
	}
	var id string
	err := rescue.Apart(func() (err error) {
		id, err = e.opts.GenerateID(x.Request())
		return err
	})
	if err == nil {
		err = e.checkID(id)
	}
	if err != nil {
		e.logFailure("GenerateID", err)
		return badRequest("ID_GENERATION_ERROR", "error", err)
	}
	x.sid = id
	return nil
}

// checkID returns why a session cannot have this id. The characters are those
// that need no care in JSON.
func (e *Server) checkID(id string) error {
	switch {
	case id == "":
		return errors.New("the session id is empty")
	case !validIDChars(id):
		return errors.New("the session id has characters other than visible ones of ASCII, or a quote or backslash")
	case e.lookup(id) != nil:
		return errors.New("there is a session with this id")
	}
	return nil
}

func validIDChars(id string) bool {
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 0x7F || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// initialPacketFrame returns the frame of Options.InitialPacket (EIO-HS-7), nil if there
// is none.
func initialPacketFrame(packet any) *frame.Frame {
	switch p := packet.(type) {
	case string:
		return frame.Text(append(append(frame.Buffer(1+len(p)), byte(payload.Message)), p...))
	case []byte:
		return frame.Binary(append(frame.Buffer(len(p)), p...))
	default:
		return nil
	}
}

// translateInitialPacket returns the greeting as a client wants it.
func (d dialect) translateInitialPacket(g *frame.Frame) []*frame.Frame {
	if d == 0 {
		return []*frame.Frame{g}
	}
	return d.translate([]*frame.Frame{g})
}

// Validate returns what in the options can only be a mistake.
func (o *Options) Validate() error {
	switch o.InitialPacket.(type) {
	case nil, string, []byte:
	default:
		return fmt.Errorf("InitialPacket is a %T: use a string or a []byte", o.InitialPacket)
	}
	if l := o.HTTPCompressionLevel; l < -2 || l > 9 {
		return fmt.Errorf("HTTPCompressionLevel is %d: use one from -2 to 9 (see package compress/flate)", l)
	}
	for _, f := range o.UseRequest {
		if f == nil {
			return errors.New("UseRequest has a nil function")
		}
	}
	return errors.Join(o.CORS.validate(), o.Cookie.validate())
}
