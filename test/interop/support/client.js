// What the scenarios share: the client under test and a few ways to wait for it.
// Nothing here sleeps; every wait ends with an event, or fails after `patience`.

import { io } from "socket.io-client";

/** The address of the Go server. */
export const url = process.env.INTEROP_URL;

/** How the client connects: "polling", "websocket" or "upgrade". */
export const mode = process.env.INTEROP_MODE;

/** The transports that the client may use, in that order. */
export const transports = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
}[mode];

/** How long to wait for what should happen at once, in milliseconds. */
const patience = 10_000;

/** Returns a client of namespace on a connection of its own. It closes with test t. */
export function open(t, namespace = "/", { base = url, ...options } = {}) {
  const socket = io(base + namespace, {
    transports,
    forceNew: true,
    reconnection: false,
    ...options,
  });
  t.after(() => socket.disconnect());
  return socket;
}

/** Like open, and waits until the client is connected. */
export function connect(t, namespace, options) {
  return connected(open(t, namespace, options));
}

/** Returns a client of another namespace on the connection of socket; it connects by itself. */
export function openBeside(t, socket, namespace, options) {
  const sibling = socket.io.socket(namespace, options);
  t.after(() => sibling.disconnect());
  return sibling;
}

/** Like openBeside, and waits until the client is connected. */
export function connectBeside(t, socket, namespace, options) {
  return connected(openBeside(t, socket, namespace, options));
}

/** Waits until socket is connected. */
export async function connected(socket) {
  if (!socket.connected) {
    await Promise.race([
      next(socket, "connect"),
      next(socket, "connect_error").then(([err]) => Promise.reject(err)),
    ]);
  }
  return socket;
}

/** Waits until the connection of socket has moved on to WebSocket. */
export async function upgraded(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== "websocket") {
    await next(engine, "upgrade");
  }
}

/** Returns the arguments of the next event. Call it before what causes the event. */
export function next(emitter, event) {
  return new Promise((resolve, reject) => {
    const arrived = (...args) => {
      clearTimeout(timer);
      resolve(args);
    };
    const timer = setTimeout(() => {
      emitter.off(event, arrived);
      reject(new Error(`no "${event}" within ${patience} ms`));
    }, patience);
    timer.unref();
    emitter.once(event, arrived);
  });
}

/** Emits an event and returns what the server acknowledges it with. */
export function ask(socket, event, ...args) {
  return socket.timeout(patience).emitWithAck(event, ...args);
}

/**
 * Returns once everything the server emitted to socket so far has arrived: events
 * keep their order, so the answer to a new question comes after them.
 */
export function settled(socket) {
  return ask(socket, "sync");
}

/** Returns a growing list with the first argument of each such event. */
export function collect(socket, event) {
  const values = [];
  socket.on(event, (value) => values.push(value));
  return values;
}
