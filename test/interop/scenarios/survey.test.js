// Broadcasts that want to be acknowledged.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, collect, connect, next, settled } from "../support/client.js";

// Each test gets its own room, because all of them share the server.
let tests = 0;
const room = () => `jury ${++tests}`;

/** Connects a client that is in a room, and answers questions with answer, if it is given. */
async function juror(t, name, answer) {
  const socket = await connect(t, "/survey");
  await ask(socket, "join", name);
  socket.questions = collect(socket, "question");
  if (answer) {
    socket.on("question", answer);
  }
  return socket;
}

const vote = (socket, value) => ({ socket: socket.id, value, ending: "answered" });
const byID = (votes) => votes.toSorted((a, b) => (a.socket < b.socket ? -1 : 1));

test("SIO-BA-1 every client of the room is asked once, and is known by its answer", async (t) => {
  const jury = room();
  const jurors = [];
  for (const value of [1, "two", { three: 3 }, null]) {
    jurors.push([await juror(t, jury, (_, answer) => answer(value)), value]);
  }
  const stranger = await juror(t, room());
  const asker = await connect(t, "/survey");
  const votes = await ask(asker, "survey", { room: jury, question: "guilty?" });
  assert.deepEqual(byID(votes), byID(jurors.map(([socket, value]) => vote(socket, value))));
  for (const [socket] of jurors) {
    assert.deepEqual(socket.questions, ["guilty?"]);
  }
  await settled(stranger);
  assert.deepEqual(stranger.questions, []);
});

test("SIO-BA-1 who never answers is told at the deadline, the others' answers at once", async (t) => {
  const jury = room();
  const quick = await juror(t, jury, (_, answer) => answer("yes"));
  const silent = [await juror(t, jury), await juror(t, jury)];
  const asker = await connect(t, "/survey");
  const first = next(asker, "vote");
  const all = ask(asker, "survey", { room: jury, question: "?", milliseconds: 1_000 });
  assert.deepEqual((await first)[0], vote(quick, "yes"));
  const votes = await all;
  assert.deepEqual(votes[0], vote(quick, "yes"));
  assert.deepEqual(
    byID(votes.slice(1)),
    byID(silent.map(({ id }) => ({ socket: id, value: null, ending: "deadline exceeded" }))),
  );
});

test("SIO-BA-6 an answer that comes too late disturbs nobody", async (t) => {
  const jury = room();
  let late;
  const slow = await juror(t, jury, (_, answer) => { late = answer; });
  const asker = await connect(t, "/survey");
  const votes = await ask(asker, "survey", { room: jury, question: 1, milliseconds: 50 });
  assert.deepEqual(votes.map(({ ending }) => ending), ["deadline exceeded"]);
  late("too late");
  await settled(slow);

  slow.off("question");
  slow.on("question", (_, answer) => answer("in time"));
  assert.deepEqual(await ask(asker, "survey", { room: jury, question: 2 }), [vote(slow, "in time")]);
});

const partings = {
  "leaves": (socket) => socket.disconnect(),
  "loses its connection": (socket) => socket.io.engine.close(),
};

for (const [what, part] of Object.entries(partings)) {
  test(`SIO-BA-5 a client that ${what} is not waited for`, async (t) => {
    const jury = room();
    const loyal = await juror(t, jury, (_, answer) => answer(1));
    const gone = await juror(t, jury, () => part(gone));
    const { id } = gone;
    const asker = await connect(t, "/survey");
    const votes = await ask(asker, "survey", { room: jury, question: "?" }); // no deadline
    assert.deepEqual(byID(votes), byID([vote(loyal, 1), { socket: id, value: null, ending: "disconnected" }]));
  });
}

test("SIO-BA-3 nobody is asked, nobody answers", async (t) => {
  const asker = await connect(t, "/survey");
  assert.deepEqual(await ask(asker, "survey", { room: room(), question: "?" }), []);
});

test("SIO-BA-2 only the first value of an answer counts", async (t) => {
  const jury = room();
  const [generous, mute] = [
    await juror(t, jury, (_, answer) => answer(1, 2, 3)),
    await juror(t, jury, (_, answer) => answer()),
  ];
  const asker = await connect(t, "/survey");
  const votes = await ask(asker, "survey", { room: jury, question: "?" });
  assert.deepEqual(byID(votes), byID([vote(generous, 1), vote(mute, null)]));
});

test("SIO-CU-7 questions and answers may be binary", async (t) => {
  const jury = room();
  const jurors = await Promise.all(Array.from({ length: 3 }, (_, i) =>
    juror(t, jury, ({ image }, answer) => answer({ copy: Buffer.concat([image, Buffer.from([i])]) }))));
  const asker = await connect(t, "/survey");
  const votes = await ask(asker, "survey", { room: jury, question: { image: Buffer.from("cat") } });
  assert.deepEqual(byID(votes), byID(jurors.map((socket, i) =>
    vote(socket, { copy: Buffer.concat([Buffer.from("cat"), Buffer.from([i])]) }))));
});

test("the first answer may be enough", async (t) => {
  const jury = room();
  const quick = await juror(t, jury, (_, answer) => answer("me"));
  const silent = await juror(t, jury);
  const asker = await connect(t, "/survey");
  assert.deepEqual(await ask(asker, "survey", { room: jury, question: "?", first: true }), [vote(quick, "me")]);
  await settled(silent);
});

test("who asks may be in the room, and several may ask at the same time", async (t) => {
  const jury = room();
  const jurors = [];
  for (let i = 0; i < 5; i++) {
    jurors.push(await juror(t, jury, (question, answer) => answer(`${question} ${i}`)));
  }
  const surveys = await Promise.all(jurors.map((socket, i) => ask(socket, "survey", { room: jury, question: i })));
  surveys.forEach((votes, question) => {
    assert.deepEqual(byID(votes), byID(jurors.map((socket, i) => vote(socket, `${question} ${i}`))));
  });
});
