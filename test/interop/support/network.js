// A network between the clients and the server that can fail: a TCP proxy.

import net from "node:net";
import { url } from "./client.js";

/**
 * Breaks a connection. Node refuses to reset one that is being shut down, and would
 * keep it, and itself, running for ever.
 */
function reset(end) {
  if (end.writableEnded) {
    end.destroy();
  } else {
    end.resetAndDestroy();
  }
}

/**
 * Returns a network that works. Clients use it when they connect to its `base`. It
 * ends with test t.
 */
export async function network(t) {
  const { hostname, port } = new URL(url);
  const lines = new Set();
  let works = true;
  let held = false;
  let received = 0;

  const proxy = net.createServer((near) => {
    near.on("error", () => {}); // "close" follows
    if (!works) {
      near.destroy();
      return;
    }
    const far = net.connect(port, hostname);
    const line = { near, far, lost: false };
    lines.add(line);
    near.pipe(far);
    far.on("data", (data) => {
      received += data.length;
      near.write(data);
    });
    far.on("end", () => near.end());
    far.on("error", () => {});
    far.on("close", () => lines.delete(line) && near.destroy());
    near.on("close", () => line.lost || far.destroy());
    if (held) {
      far.pause();
    }
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    proxy.close();
    lines.forEach(({ near, far }) => [near, far].forEach((end) => end.destroy()));
  });

  return {
    base: `http://127.0.0.1:${proxy.address().port}`,

    /** Breaks all connections, and lets nobody connect until it is mended. */
    cut() {
      works = false;
      lines.forEach(({ near, far }) => [near, far].forEach(reset));
    },

    mend() {
      works = true;
    },

    /** Like cut, but the server hears nothing of it: its ends stay as they are. */
    lose() {
      works = false;
      lines.forEach((line) => {
        line.lost = true;
        line.near.unpipe(line.far);
        reset(line.near);
        line.far.resume();
      });
    },

    /** Stops what the server sends on its way, as if the clients did not read, until it is released. */
    hold() {
      held = true;
      lines.forEach(({ far }) => far.pause());
    },

    release() {
      held = false;
      lines.forEach(({ far }) => far.resume());
    },

    /** Returns how many bytes have come from the server so far. */
    received: () => received,
  };
}

/** Options of clients that come back soon after their connection has failed. */
export const reconnecting = { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 50 };
