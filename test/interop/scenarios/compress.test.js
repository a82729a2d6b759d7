// Compression, as far as the server wants it for an event.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Fetch, NodeWebSocket } from "engine.io-client";
import { network } from "../support/network.js";
import { connect, mode, next, settled, upgraded } from "../support/client.js";

// The client's polling does not ask for compression in Node; its fetch does.
const transports = { polling: [Fetch], websocket: [NodeWebSocket], upgrade: [Fetch, NodeWebSocket] }[mode];

const length = 105_000;

for (const event of ["text", "text for all"]) {
  test(`SIO-EM-14 SIO-BC-9 EIO-HC-5 "${event}" is compressed if it may be`, async (t) => {
    const net = await network(t);
    const socket = await connect(t, "/compressible", { base: net.base, transports });
    if (mode === "upgrade") {
      await upgraded(socket);
    }
    const sizeOf = async (compress) => {
      await settled(socket);
      const before = net.received();
      const text = next(socket, "text");
      socket.emit(event, compress);
      assert.equal((await text)[0].length, length);
      return net.received() - before;
    };
    assert.ok((await sizeOf(true)) < length / 4);
    assert.ok((await sizeOf(false)) > length);
    assert.ok((await sizeOf(true)) < length / 4);
  });
}
