// Connection state recovery: clients lose their connection, and come back to find
// everything as it was.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noted, start, stop } from "../support/control.js";
import { network, reconnecting } from "../support/network.js";
import { ask, collect, connect, connectBeside, mode, next, settled, upgraded } from "../support/client.js";

const visits = "/visits";
const image = Buffer.from("the image");

// Each test gets its own rooms, because all of them share the server.
let tests = 0;
const rooms = () => ({ red: `red ${++tests}`, blue: `blue ${tests}` });

/** Connects a client by way of net, which has settled in and keeps the news. */
async function visitor(t, net, { namespace = visits, favourite = "tea", in: joined = [], ...options } = {}) {
  const socket = await connect(t, namespace, { base: net?.base, ...reconnecting, ...options });
  await ask(socket, "settle in", favourite, joined);
  socket.news = collect(socket, "news");
  return socket;
}

/** Waits until both sides know the connection to be on its last transport. */
async function arrived(socket) {
  if (mode === "upgrade") {
    await upgraded(socket);
    await settled(socket);
  }
}

/** Breaks the connection of socket, and lets it come back after `meanwhile`. */
async function interrupt(net, socket, meanwhile = () => {}, fail = net.cut) {
  const gone = next(socket, "disconnect");
  fail();
  const [reason] = await gone;
  assert.match(reason, /^(transport (close|error)|ping timeout)$/);
  await meanwhile();
  const back = next(socket, "connect");
  net.mend();
  await back;
}

test("SIO-CSR-8 a client whose connection was cut finds everything as it was", async (t) => {
  const { red, blue } = rooms();
  const net = await network(t);
  const ada = await visitor(t, net, { in: [red, blue], favourite: "coffee" });
  await arrived(ada);
  const { id } = ada;
  assert.equal(ada.recovered, false);
  const welcome = next(ada, "welcome");
  await interrupt(net, ada, async () => {
    if (mode !== "polling") { // there, the server may not notice before she is back
      assert.equal(await noted(`end of visit 1 of ${id}`), "transport close");
    }
  });
  assert.equal(ada.recovered, true);
  assert.equal(ada.id, id);
  assert.equal((await welcome)[0], true);
  assert.deepEqual(await ask(ada, "who am I"), {
    id,
    rooms: [id, red, blue].sort(),
    favourite: "coffee",
    visit: 2,
    recovered: true,
  });
});

test("SIO-CSR-6 SIO-CSR-13 what was emitted meanwhile arrives, in order, binary too, and nothing else", async (t) => {
  const { red, blue } = rooms();
  const net = await network(t);
  const [ada, bob] = [await visitor(t, net, { in: [red] }), await visitor(t, undefined, { in: [red, blue] })];
  await arrived(ada);
  const { id } = ada;
  await ask(bob, "tell", { to: [red], values: ["before"] });
  await settled(ada);
  const missed = [1, image, { text: "é€😀", deep: [image, image] }, null, "last of the room"];
  await interrupt(net, ada, async () => {
    await ask(bob, "tell", { to: [red], values: missed });
    await ask(bob, "tell", { to: [blue], values: ["for others"] });
    await ask(bob, "tell", { to: [red], except: [id], values: ["not for her"] });
    await ask(bob, "tell", { to: [id], values: ["for her alone"] });
  });
  await ask(bob, "tell", { to: [red, id], values: ["after"] });
  await settled(ada);
  assert.deepEqual(ada.news, ["before", ...missed, "for her alone", "after"]);
  assert.deepEqual(bob.news, ["before", ...missed, "for others", "not for her", "after"]);
});

test("SIO-CSR-3 volatile events are not kept", async (t) => {
  const { red } = rooms();
  const net = await network(t);
  const [ada, bob] = [await visitor(t, net, { in: [red] }), await visitor(t)];
  await arrived(ada);
  await interrupt(net, ada, async () => {
    await ask(bob, "tell what is not kept", { to: [red], values: [1] });
    await ask(bob, "tell", { to: [red], values: [2] });
  });
  await settled(ada);
  assert.equal(ada.recovered, true);
  assert.deepEqual(ada.news, [2]);
});

test("SIO-CSR-7 what was missed comes before the connection", async (t) => {
  const { red } = rooms();
  const net = await network(t);
  const [ada, bob] = [await visitor(t, net, { in: [red] }), await visitor(t)];
  await arrived(ada);
  const order = [];
  ada.on("connect", () => order.push("connect"));
  ada.on("news", (value) => order.push(value));
  ada.on("welcome", (recovered) => order.push(`welcome ${recovered}`));
  await interrupt(net, ada, async () => {
    ada.emit("sync"); // waits in the client
    await ask(bob, "tell", { to: [red], values: [1, 2] });
  });
  await settled(ada);
  // The official client takes what came early when it is connected, and says so then.
  assert.deepEqual(order, [1, 2, "connect", "welcome true"]);
});

test("SIO-CSR-5 who comes too late begins anew", async (t) => {
  const { red } = rooms();
  const net = await network(t);
  const ada = await visitor(t, net, { namespace: "/brief visits", in: [red] });
  const bob = await visitor(t, undefined, { namespace: "/brief visits" });
  await arrived(ada);
  const { id } = ada;
  await interrupt(net, ada, () => ask(bob, "tell", { to: [red], values: ["missed"] }));
  await settled(ada);
  assert.equal(ada.recovered, false);
  assert.notEqual(ada.id, id);
  assert.deepEqual(ada.news, []);
  assert.deepEqual(await ask(ada, "who am I"), {
    id: ada.id, rooms: [ada.id], favourite: "", visit: 1, recovered: false,
  });
});

const partings = {
  "left the namespace": { part: (socket) => socket.disconnect(), reason: "client namespace disconnect" },
  "was sent away": { part: (socket) => socket.emit("disconnect me"), reason: "server namespace disconnect" },
  "was cut off by the server": { part: (socket) => socket.emit("close my connection"), reason: "server namespace disconnect" },
};

for (const [what, { part, reason }] of Object.entries(partings)) {
  test(`SIO-CSR-4 who ${what} begins anew`, async (t) => {
    const ada = await visitor(t);
    await arrived(ada);
    const { id } = ada;
    const gone = next(ada, "disconnect");
    part(ada);
    await gone;
    assert.equal(await noted(`end of visit 1 of ${id}`), reason);
    const back = next(ada, "connect");
    ada.connect();
    await back;
    assert.equal(ada.recovered, false);
    assert.notEqual(ada.id, id);
    await settled(ada);
  });
}

test("SIO-CSR-5 another run of the server knows nobody", async (t) => {
  const ada = await visitor(t);
  await arrived(ada);
  const { id } = ada;
  const back = next(ada, "connect");
  await stop();
  await start();
  await back;
  assert.equal(ada.recovered, false);
  assert.notEqual(ada.id, id);
  await settled(ada);
});

test("each namespace of a connection is recovered on its own", async (t) => {
  const { red } = rooms();
  const net = await network(t);
  const [ada, bob] = [await visitor(t, net, { in: [red] }), await visitor(t)];
  const chat = await connectBeside(t, ada, "/chat", { auth: { name: "Ada" } }); // greets whoever comes
  const quiet = await connectBeside(t, ada, "/members", { auth: { token: "good" } }); // has emitted nothing
  await arrived(ada);
  const ids = [ada.id, chat.id, quiet.id];
  const connected = [next(chat, "connect"), next(quiet, "connect")];
  await interrupt(net, ada, () => ask(bob, "tell", { to: [red], values: [1] }));
  await Promise.all(connected);
  await Promise.all([ada, chat, quiet].map(settled));
  assert.deepEqual([ada, chat, quiet].map((socket) => socket.recovered), [true, true, false]);
  assert.deepEqual([ada, chat, quiet].map((socket, i) => socket.id === ids[i]), [true, true, false]);
  assert.deepEqual(ada.news, [1]);
  assert.equal(await ask(chat, "name"), "Ada");
});

// A phone changes from one network to another: it is back before the server can
// know that it has gone.
test("who comes back before the server knows has missed nothing", async (t) => {
  const { red } = rooms();
  const net = await network(t);
  const [ada, bob] = [await visitor(t, net, { in: [red] }), await visitor(t)];
  await arrived(ada);
  const { id } = ada;
  for (let i = 1; i <= 3; i++) {
    await interrupt(net, ada, () => ask(bob, "tell", { to: [red], values: [i] }), net.lose);
    assert.equal(ada.recovered, true);
    assert.equal(ada.id, id);
  }
  await settled(ada);
  assert.deepEqual(ada.news, [1, 2, 3]);
});

test("nothing is lost or doubled, however often the connection fails", async (t) => {
  const { red } = rooms();
  const net = await network(t);
  const [ada, bob] = [await visitor(t, net, { in: [red] }), await visitor(t)];
  const values = Array.from({ length: 400 }, (_, i) => (i % 10 === 0 ? Buffer.from([i / 10]) : i));
  let told = 0;
  const telling = (async () => {
    for (const value of values) {
      await ask(bob, "tell", { to: [red], values: [value] });
      told++;
    }
  })();
  // Wherever the connection happens to be: polling, in the middle of the upgrade, after it.
  for (let cuts = 1; cuts <= 8; cuts++) {
    while (told < cuts * 40) {
      await settled(bob);
    }
    await interrupt(net, ada);
    assert.equal(ada.recovered, true);
  }
  await telling;
  await settled(ada);
  assert.deepEqual(ada.news, values);
});
