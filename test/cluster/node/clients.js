// Official clients, which tell the test all that they receive.
import { io } from "socket.io-client";
import { tell } from "./tell.js";
import { fromWire, toWire } from "./values.js";

const sockets = new Map();

export function run(command) {
  const operation = operations[command.op];
  if (!operation) throw new Error(`unknown operation of a client: ${command.op}`);
  return operation(command, sockets.get(command.name));
}

const operations = {
  // With the name of another client in with, both share a connection.
  connect({ name, url, ns, rooms, token, transports, with: other }) {
    const options = { auth: { name, rooms, token }, transports, reconnection: false, forceNew: true };
    const socket = other ? sockets.get(other).io.socket(ns, options) : io(url + ns, options);
    sockets.set(name, socket);
    socket.onAny((...args) => receive(name, args));
    socket.on("disconnect", (reason) => tell({ note: "disconnect", client: name, reason }));
    return connected(socket);
  },

  // A client that lost its connection comes back, to a server that may be another one.
  async reconnect({ url }, socket) {
    socket.io.uri = url;
    socket.connect();
    return connected(socket);
  },

  // The connection ends, and nobody says why.
  cut(_command, socket) {
    socket.io.engine.close();
  },

  emit({ args }, socket) {
    socket.emit(...fromWire(args));
  },

  disconnect({ name }, socket) {
    sockets.delete(name);
    socket.disconnect();
  },
};

function connected(socket) {
  return new Promise((resolve, reject) => {
    const forget = () => {
      socket.off("connect", onConnect);
      socket.off("connect_error", onError);
      socket.io.off("error", onError);
    };
    const onConnect = () => {
      forget();
      resolve({ id: socket.id, recovered: Boolean(socket.recovered) });
    };
    const onError = (err) => {
      forget();
      reject(err);
    };
    socket.on("connect", onConnect);
    socket.on("connect_error", onError);
    socket.io.on("error", onError);
  });
}

function receive(name, args) {
  const answer = typeof args.at(-1) === "function" ? args.pop() : undefined;
  // Where recovery is possible, most events carry an offset.
  if (sockets.get(name)._pid && typeof args.at(-1) === "string" && args.length > 1) args.pop();
  tell({ note: "received", client: name, args: toWire(args) });
  const [event] = args;
  // Those whose names end in 2 stay silent when only some are asked.
  if (!answer || event === "ask nobody" || (event === "ask some" && name.endsWith("2"))) return;
  if (event === "ask for bytes") answer(Buffer.from(name));
  else answer({ client: name, got: args.slice(1) }, "second");
}
