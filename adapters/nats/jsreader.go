package natsadapter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sioplug/sioplug/adapters/cluster"
	"github.com/sioplug/sioplug/adapters/internal/sharedlog"
)

// A jetReader is what the goroutine knows that reads the stream. Messages come with their
// numbers, each one higher than the one before. If numbers are missing, it gets those messages
// from the stream.
type jetReader struct {
	stream   uint64    // when the stream was created, in Unix milliseconds; 0 if it was not found yet
	position uint64    // number of the last message that was passed on
	fetched  uint64    // up to this number, messages may come again that were fetched
	behind   uint64    // last number of the stream when it was looked at and the reader was behind; or 0
	again    uint64    // a number that came although the reader was behind it, the lowest one; or 0
	size     int       // of messages, about
	last     time.Time // of the last message of the stream, when it was looked at
}

var (
	errTrimmed = errors.New("natsadapter: messages of other servers were missed, because the stream does not have them any more")
	errStuck   = errors.New("natsadapter: messages of other servers were missed, because the stream did not give them")
)

const (
	// maxPage and maxPageBytes are how many messages are asked for at once, and about how
	// large they may be together.
	maxPage      = 32
	maxPageBytes = 1 << 20

	// maxCatchUp is how long the stream may fail to give messages that were missed. Later ones
	// wait for them.
	maxCatchUp = 5 * time.Second

	// maxGap is how many messages may be missing before one that says it is of the stream. If
	// there are more, JetStream is asked whether that is so.
	maxGap = 1 << 16
)

// read reads the stream until the broker is closed.
func (j *jetStream) read() {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for done := 0; j.ctx.Err() == nil; {
		var list []*nats.Msg
		list, done = j.entries.grab(done)
		for i, m := range list {
			if j.ctx.Err() != nil {
				return
			}
			j.handle(m)
			list[i] = nil
		}
		select {
		case <-j.check:
			j.look(true)
			continue
		case <-tick.C:
			j.look(false)
			continue
		default:
		}
		if len(list) > 0 {
			continue
		}
		select {
		case <-j.entries.wake:
		case <-j.check:
			j.look(true)
		case <-tick.C:
			j.look(false)
		case <-j.ctx.Done():
		}
	}
}

// checkDropped looks whether messages were dropped. Those in the stream are read from there.
func (j *jetStream) checkDropped() {
	if !j.entries.hasDropped() {
		return
	}
	j.pokeReader()
	if _, ok := j.recovers(); !ok {
		j.call(func() { j.in.Missed(errTooSlow) }) // they may have been outside of the stream
	}
}

// handle takes a message: one of the stream, or one that is outside.
func (j *jetStream) handle(m *nats.Msg) {
	name, ok := strings.CutPrefix(m.Subject, j.prefix+toAgain)
	if !ok {
		j.passOutside(m)
		return
	}
	seq, err := strconv.ParseUint(lastHeader(m, sequenceHeader), 10, 64)
	r := &j.reader
	switch {
	case err != nil:
		j.in.Refused(errSubject)
		return
	case r.stream == 0: // it is fetched when the stream was looked at
		r.behind = cmp.Or(r.behind, seq)
		return
	case seq <= r.position && seq <= r.fetched:
		return
	case seq <= r.position: // of another stream, or of one that has lost its end
		r.again = min(cmp.Or(r.again, seq), seq)
		j.pokeReader()
		return
	case seq-r.position > maxGap:
		j.look(true)
		return
	case seq > r.position+1:
		j.catchUp(seq - 1)
	}
	if seq == r.position+1 {
		r.fetched = 0
		j.pass(name, seq, m.Data)
	}
}

// look asks JetStream about the stream, and creates it if there is none. If the reader has
// messages to catch up with, it does: at once, or when they have not come for a while.
func (j *jetStream) look(now bool) {
	if j.nc.Status() != nats.CONNECTED {
		return
	}
	want := j.messagesConfig()
	info, err := j.open(j.ctx, &want)
	if err == nil && j.keep() > 0 {
		sessions := j.sessionsConfig()
		_, err = j.open(j.ctx, &sessions)
	}
	if j.ctx.Err() != nil {
		return
	}
	if err != nil {
		j.setUsable(fmt.Errorf("%w: %w", errNoStream, err))
		return
	}
	r := &j.reader
	created := uint64(info.Created.UnixMilli())
	if created != r.stream || info.State.Last < r.position {
		j.begin(created, &info)
		now = true
	}
	switch last := info.State.Last; {
	case last <= r.position:
		r.behind = 0
	case now:
		j.skipTrimmed(&info)
		j.catchUp(last)
	case r.behind > r.position:
		j.skipTrimmed(&info)
		j.catchUp(r.behind)
	default:
		r.behind = last
	}
	r.again, r.last = 0, info.State.LastTime
	j.setUsable(nil)
}

// begin begins to read a stream.
func (j *jetStream) begin(created uint64, info *streamInfo) {
	r := &j.reader
	var least sharedlog.Place // of the fence
	if created == r.stream {  // numbers come a second time
		least = sharedlog.Place{Major: created, Minor: r.position + 1}
	}
	position := r.beginning(created, info)
	if r.stream != 0 {
		j.call(func() { j.in.Missed(errTrimmed) })
	}
	*r = jetReader{stream: created, position: position, size: r.size}
	at := sharedlog.Place{Major: created, Minor: position}
	j.logs.order.Wait(func() { j.logs.order.Skip(at) })
	fence, err := j.lastFence()
	if err != nil { // nobody can come back to what is earlier
		fence = at
	}
	if fence.Compare(least) < 0 {
		fence = least
	}
	j.mu.Lock()
	j.fence = fence
	j.mu.Unlock()
}

// beginning returns the number behind which a stream is read.
//
// The first time, that is the end, but messages that came since the subscription are not skipped.
// All messages of a stream that has taken the place of another one are new, and so are those of
// one that was emptied. If a stream has only lost its end, the rest was passed on already.
func (r *jetReader) beginning(created uint64, info *streamInfo) uint64 {
	first, last := max(info.State.First, 1), info.State.Last
	next := r.behind // the first message to be passed on, if it is known
	switch {
	case r.stream == 0:
	case created != r.stream || info.State.FirstTime.After(r.last):
		return first - 1
	default:
		next = r.again
	}
	if next > 0 && next <= last {
		return max(next, first) - 1
	}
	return last
}

// lastFence returns the place of the last fence in the stream.
func (j *jetStream) lastFence() (at sharedlog.Place, err error) {
	ctx, cancel := context.WithTimeout(j.ctx, apiTimeout)
	defer cancel()
	s, err := j.get(ctx, j.opts.StreamName, getRequest{Last: j.stored("")})
	if err != nil || s.gone {
		return at, err
	}
	return sharedlog.Place{Major: j.reader.stream, Minor: s.seq}, nil
}

// skipTrimmed moves the position to the first message that the stream still has.
func (j *jetStream) skipTrimmed(info *streamInfo) {
	r := &j.reader
	if first := info.State.First; first > r.position+1 {
		r.position = first - 1
		j.logs.order.Skip(sharedlog.Place{Major: r.stream, Minor: r.position})
		j.call(func() { j.in.Missed(errTrimmed) })
	}
}

// catchUp passes on the messages up to a number, from the stream.
func (j *jetStream) catchUp(to uint64) {
	r := &j.reader
	for worked := time.Now(); r.position < to && j.ctx.Err() == nil; {
		list, end, err := j.nextPage(to)
		switch {
		case err == nil:
			j.passPage(list)
			worked = time.Now()
		case time.Since(worked) < j.maxCatchUp:
			j.pause()
		case j.ctx.Err() == nil:
			r.position, end = to, true
			j.logs.order.Skip(sharedlog.Place{Major: r.stream, Minor: to})
			j.call(func() { j.in.Missed(errStuck) })
		}
		if end {
			return
		}
	}
}

// nextPage returns the next messages up to a number. If some of them are gone, it asks how far
// the stream goes. What has a number behind its end is not gone: there was no such message.
func (j *jetStream) nextPage(to uint64) (list []stored, end bool, err error) {
	r := &j.reader
	ctx, cancel := context.WithTimeout(j.ctx, apiTimeout)
	defer cancel()
	list, err = j.page(ctx, r.position+1, pageSize(to-r.position, r.size, maxPageBytes))
	if err != nil || !slices.ContainsFunc(list, func(s stored) bool { return s.gone }) {
		return list, false, err
	}
	var info streamInfo
	err = j.api(ctx, "STREAM.INFO."+j.opts.StreamName, struct{}{}, &info)
	switch last := info.State.Last; {
	case isNotFound(err), err == nil && uint64(info.Created.UnixMilli()) != r.stream:
		j.pokeReader()
		return nil, true, nil
	case err != nil:
		return nil, false, err
	case last <= r.position:
		return nil, true, nil
	case info.State.First > list[len(list)-1].seq:
		j.skipTrimmed(&info)
		return nil, false, nil
	default: // once more: they may have come meanwhile
		list, err = j.page(ctx, r.position+1, int(min(uint64(len(list)), last-r.position))) //nolint:gosec // not more than before
		return list, false, err
	}
}

func (j *jetStream) passPage(list []stored) {
	r := &j.reader
	missed := false
	for i := range list {
		m := &list[i]
		if missed = missed || m.gone; m.gone {
			r.position = m.seq
			j.logs.order.Skip(sharedlog.Place{Major: r.stream, Minor: m.seq})
			continue
		}
		name, _ := strings.CutPrefix(m.subject, j.prefix+toStored)
		j.pass(name, m.seq, m.data)
		r.fetched = m.seq
		r.size = (r.size + len(m.data)) / 2 //nolint:mnd // the average of the last ones
	}
	if missed {
		j.call(func() { j.in.Missed(errTrimmed) })
	}
}

// pageSize returns how many messages to ask for, of those that are left.
func pageSize(left uint64, size, limit int) int {
	n := max(1, min(maxPage, limit/max(size, messageOverhead)))
	return int(min(left, uint64(n)))
}

// pause waits for a moment.
func (j *jetStream) pause() {
	const pause = 100 * time.Millisecond
	select {
	case <-time.After(pause):
	case <-j.ctx.Done():
	}
}

// pass passes on a message of the stream. The position moves before the message is looked at,
// so that none is read twice (CF-1).
func (j *jetStream) pass(name string, seq uint64, data []byte) {
	at := sharedlog.Place{Major: j.reader.stream, Minor: seq}
	j.reader.position = seq
	j.noteRecent(name, seq, data)
	if name == token("") {
		f, err := readFence(data)
		if err != nil {
			j.in.Refused(err)
		}
		j.logs.order.Pass(at, func() { j.passFence(at, f) })
		return
	}
	j.broker.mu.Lock()
	namespace, wanted := j.names[name]
	j.broker.mu.Unlock()
	if !wanted {
		j.logs.order.Skip(at)
		return
	}
	p, err := cluster.Decode(data)
	if err == nil && (p.Namespace != namespace || p.Type.IsResponse() && p.To != "") {
		err = errSubject
	}
	if err != nil {
		j.in.Refused(err)
		j.logs.order.Skip(at)
		return
	}
	if j.late(p.From) { // its server has counted it as lost, and sent later ones outside of the stream
		j.logs.order.Skip(at)
		return
	}
	log := j.logs.Log(namespace)
	j.logs.order.Pass(at, func() {
		switch {
		case p.From == j.self && log != nil:
			log.ReadOwn(at, contentOf(data))
		case log != nil && p.Message != nil && p.RequestID == "" && sharedlog.InLog(p.Message):
			log.ReadForeign(at, p.Message, func() { j.in.Receive(p) })
		default:
			j.in.Receive(p)
		}
	})
}

// noteRecent keeps a message in memory, if clients can recover.
func (j *jetStream) noteRecent(name string, seq uint64, data []byte) {
	if j.keep() > 0 {
		j.recent.add(j.reader.stream, stored{subject: j.prefix + toStored + name, seq: seq, data: data})
	}
}

// passOutside passes on a message that is outside of the stream.
func (j *jetStream) passOutside(m *nats.Msg) {
	name, _ := strings.CutPrefix(m.Subject, j.prefix+toNamespace)
	p, err := cluster.Decode(m.Data)
	if err == nil && (!j.is(p.Namespace, name) || p.Type.IsResponse() && p.To != "") {
		err = errSubject
	}
	if err != nil {
		j.in.Refused(err)
		return
	}
	if p.From == j.self { // which has noted it, unless it is forged: then others need a fence
		j.noteOutside(j.self)
		return
	}
	log := j.logs.Log(p.Namespace)
	j.logs.order.Wait(func() {
		j.noteOutside(p.From)
		if log != nil && p.Message != nil && p.RequestID == "" && sharedlog.InLog(p.Message) {
			log.ReadForeign(sharedlog.Place{}, p.Message, func() { j.in.Receive(p) })
			return
		}
		j.in.Receive(p)
	})
}

// A fence is a message of the stream that no client comes back across.
type fence struct {
	From   string `json:"from"`
	Number uint64 `json:"number"`
}

var errFence = errors.New("natsadapter: a fence in the stream cannot be read")

func readFence(data []byte) (f fence, err error) {
	if json.Unmarshal(data, &f) != nil {
		return fence{}, errFence
	}
	return f, nil
}

func (f fence) append(dst []byte) []byte {
	dst = append(dst, `{"from":"`...)
	dst = append(dst, f.From...)
	dst = append(dst, `","number":`...)
	return append(strconv.AppendUint(dst, f.Number, 10), '}')
}
