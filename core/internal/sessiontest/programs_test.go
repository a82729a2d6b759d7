package sessiontest_test

import "math/rand/v2"

// The numbers of steps in programs: see world.step.
const (
	doEvent       = 0
	doBurst       = 4
	doAttachments = 6
	doConnect     = 7
	doDisconnect  = 8
	doUpgrade     = 9
	doSwitchOver  = 11
	doSleep       = 12
	doHabit       = 15
	doAgain       = 17
	doServerDoes  = 18
	doBreakRules  = 19
)

// Ways to break the rules: see world.breakRules.
const (
	garbage = iota
	frames
	hangUp
	misplaced
	tooLong
)

// Kinds of events: see world.event.
const (
	number = iota
	slow
	echo
	inBytes
	maybe
	kick
	shut
	panics
	ask
	room
)

// first is the client that is opened first, when there is one.
const first = 16

// programs are those that the fuzzer begins with.
func programs() [][]byte {
	polling, websocket := []byte{0, 4}, []byte{0, 5}
	program := func(parts ...[]byte) []byte {
		var all []byte
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	// step is a step of the first client.
	step := func(what byte, args ...byte) []byte { return append([]byte{first, what}, args...) }
	upgraded := program(polling, step(doUpgrade), step(doSwitchOver))

	// What nobody polled for goes over the WebSocket.
	list := [][]byte{program(polling, step(doHabit, 0), step(doEvent, echo, 0, 5), step(doEvent, echo, 0, 6),
		step(doUpgrade), step(doSwitchOver), step(doEvent, echo, 0, 7))}
	for _, open := range [][]byte{polling, websocket, upgraded} {
		list = append(list,
			program(open, step(doEvent, echo, 0, 5), step(doEvent, echo+128, 0, 5), step(doEvent, inBytes, 0, 7)),
			program(open, step(doConnect, 1, 0), step(doEvent, echo, 1, 5), step(doDisconnect, 1), step(doEvent, echo, 1, 5)),
			program(open, step(doBurst, 0, 0, 4*40+2, 20), step(doSleep, 100, 1), step(doBurst, 0, 0, 4*30, 250), step(doSleep, 200, 2)),
			program(open, step(doHabit, 2), step(doBurst, 0, 0, 4*20+1, 250), step(doSleep, 10, 1), step(doBurst, 0, 0, 4*20+1, 250)),
			program(open, step(doConnect, 1, 0), step(doBurst, 0, 1, 4*60, 3), step(doBurst, 1, 0, 4*60+1, 3)),
			program(open, step(doAttachments, 0, 3, 10, 0, 200), step(doAttachments, 0, 4, 1, 1, 1, 1)),
			program(open, step(doEvent, ask, 0, 0), step(doBurst, 0, 0, 4*50, 50), step(doHabit, 1), step(doEvent, ask, 0, 0)),
			program(open, step(doEvent, slow, 0, 0), step(doEvent, kick, 0, 0), step(doEvent, number, 0, 0)),
			program(open, step(doEvent, slow, 0, 0), step(doEvent, shut, 0, 0), step(doEvent, panics+130, 0, 0)),
			program(open, step(doEvent, panics+132, 0, 0), step(doEvent, maybe, 0, 0), step(doEvent, room, 0, 100)),
			program(open, step(doEvent, echo, 0, 1), step(doBreakRules, hangUp, 1), step(doSleep, 10, 1), step(doAgain, 3, 0), step(doEvent, echo, 0, 1)),
			program(open, step(doConnect, 0, 3), step(doConnect, 2, 2), step(doConnect, 2, 1), step(doConnect, 3, 0), step(doConnect, 1, 4)),
			program(open, step(doBreakRules, garbage, 4, 'x', 'y', 'z', '!'), step(doEvent, echo, 0, 1)),
			program(open, step(doBreakRules, frames, 4, 0x81, 0xff, 0, 1), step(doEvent, echo, 0, 1)),
			program(open, step(doBreakRules, misplaced, 0), step(doBreakRules, misplaced, 1, 2, '4', '2'), step(doBreakRules, misplaced, 2, 0), step(doEvent, echo, 0, 1)),
			program(open, step(doBreakRules, tooLong), step(doServerDoes, 0, 2), step(doServerDoes, 1, 0, 30), step(doEvent, echo, 0, 1)),
		)
	}
	for _, p := range list {
		if p[0] == 0 { // with recovery, and with old clients
			list = append(list, append([]byte{2}, p[1:]...), append([]byte{5, p[1] | 2}, p[2:]...))
		}
	}
	return list
}

// random returns a program of up to a few hundred bytes.
func random(seed uint64) []byte {
	source := rand.NewPCG(seed, 0)
	program := make([]byte, 16+source.Uint64()%500)
	for i := range program {
		program[i] = byte(source.Uint64() >> 8)
	}
	return program
}
