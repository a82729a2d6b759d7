import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { ask, collect, connect, next, settled, url } from "../support/client.js";

const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));

// What a client may send, and the bytes the server should receive.
const sources = {
  "a Buffer": [every, every],
  "no byte at all": [Buffer.alloc(0), Buffer.alloc(0)],
  "an ArrayBuffer": [Uint8Array.of(1, 2, 3).buffer, Buffer.from([1, 2, 3])],
  "a Uint8Array": [Uint8Array.of(0, 127, 128, 255), Buffer.from([0, 127, 128, 255])],
  "part of an ArrayBuffer": [new Uint8Array(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2), Buffer.from([2, 3])],
  "a DataView": [new DataView(Uint8Array.of(9, 8, 7).buffer, 1), Buffer.from([8, 7])],
};

for (const [name, [sent, bytes]] of Object.entries(sources)) {
  test(`SIO-ENC-5 binary both ways: ${name}`, async (t) => {
    const socket = await connect(t);
    const echo = next(socket, "echo");
    socket.emit("echo", sent);
    const [got] = await echo;
    assertBytes(got, bytes);
  });
}

test("SIO-EM-16 a large buffer arrives unchanged, three times over", async (t) => {
  const socket = await connect(t);
  const bytes = randomBytes(300_000);
  let turn = bytes;
  for (let i = 0; i < 3; i++) {
    const echo = next(socket, "echo");
    socket.emit("echo", turn);
    [turn] = await echo;
    assertBytes(turn, bytes);
  }
});

test("SIO-ENC-5 buffers keep their places among other values", async (t) => {
  const socket = await connect(t);
  const value = {
    name: "album",
    pictures: [Buffer.from("one"), { deep: [Buffer.from("two")] }, null],
    cover: Buffer.from("three"),
    count: 3,
  };
  const echo = next(socket, "echo");
  socket.emit("echo", value);
  assert.deepEqual(await echo, [value]);
});

test("SIO-BIN-7 a packet may have ten attachments", async (t) => {
  const socket = await connect(t);
  const parts = Array.from({ length: 10 }, (_, i) => Buffer.alloc(i + 1, i));
  const echo = next(socket, "echo");
  socket.emit("echo", parts);
  assert.deepEqual(await echo, [parts]);
});

test("SIO-BIN-7 the server sends ten binary values, and not eleven", async (t) => {
  const socket = await connect(t);
  const got = collect(socket, "pictures");
  assert.match(await ask(socket, "pictures", 11), /too many binary values.*MaxSendAttachments/);
  assert.equal(await ask(socket, "pictures", 10), "sent");
  await settled(socket);
  assert.deepEqual(got, [Array.from({ length: 10 }, (_, i) => Buffer.from([i]))]);
});

test("SIO-BIN-7 a client that sends eleven binary values is disconnected, and nobody else", async (t) => {
  const [socket, witness] = [await connect(t), await connect(t)];
  const gone = next(socket, "disconnect");
  socket.emit("echo", Array.from({ length: 11 }, (_, i) => Buffer.from([i])));
  await gone;
  await settled(witness);
});

// As the official Java client writes it: lines of 76 characters, and a break at the end.
test("EIO-DEC-2 base64 in lines", async () => {
  const polling = `${url}/socket.io/?EIO=4&transport=polling`;
  const { sid } = JSON.parse((await (await fetch(polling)).text()).slice(1));
  const post = async (body) => {
    const res = await fetch(`${polling}&sid=${sid}`, { method: "POST", body });
    assert.equal(await res.text(), "ok");
  };
  const poll = async () => (await (await fetch(`${polling}&sid=${sid}`)).text()).split("\x1e");
  await post("40");
  assert.match((await poll())[0], /^40/);
  for (const length of [0, 1, 2, 3, 100, 70_000]) {
    const base64 = randomBytes(length).toString("base64");
    await post('451-["echo",{"_placeholder":true,"num":0}]');
    await post("b" + base64.replace(/.{1,76}/g, "$&\r\n"));
    let packets = [];
    while (packets.length < 2) {
      packets = packets.concat(await poll());
    }
    assert.deepEqual(packets, ['451-["echo",{"_placeholder":true,"num":0}]', "b" + base64]);
  }
  await post("1");
});

test("a Go struct with bytes in it is sent and received whole", async (t) => {
  const socket = await connect(t);
  const returned = next(socket, "picture");
  socket.emit("picture", {
    name: "sunset.png",
    image: Buffer.from("the image"),
    thumbnails: [Buffer.from("small"), Buffer.from("smaller")],
  });
  assert.deepEqual(await returned, [
    {
      name: "copy of sunset.png",
      image: Buffer.from("the image"),
      thumbnails: [Buffer.from("small"), Buffer.from("smaller")],
    },
  ]);
});

test("text and binary events keep their order", async (t) => {
  const socket = await connect(t);
  const sent = Array.from({ length: 50 }, (_, i) => (i % 2 ? Buffer.from([i]) : `text ${i}`));
  const received = [];
  const complete = new Promise((resolve) => {
    socket.on("echo", (value) => received.push(value) === sent.length && resolve());
  });
  for (const value of sent) {
    socket.emit("echo", value);
  }
  await complete;
  assert.deepEqual(received, sent);
});

function assertBytes(got, want) {
  assert.ok(Buffer.isBuffer(got), `got ${typeof got}, want a Buffer`);
  assert.ok(got.equals(want), `got ${got.length} bytes that differ from the ${want.length} expected`);
}
