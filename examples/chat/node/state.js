// What the chat knows: the same as ../state.go.
import { randomBytes } from "node:crypto";

const MAX_ROOMS = 24;
const MAX_HISTORY = 50; // messages kept per room
const MAX_TEXT = 2000;

export class State {
  #origin = randomBytes(12).toString("base64url"); // is in the ids of this server's messages
  epoch = `${String(Date.now()).padStart(13, "0")}-${this.#origin}`; // the smallest is the oldest
  #version = 0;
  #serial = 0;
  #seats = new Map(); // by socket id
  #others = new Map(); // of other servers
  #rooms = new Map([
    ["general", { topic: "Say hello", entries: [] }],
    ["pictures", { topic: "Paste one, drop one, choose one", entries: [] }],
    ["releases", { topic: "Announcements made through the REST API", entries: [] }],
  ]);
  #delivered = new WeakMap(); // by message: names by user id

  enter(id, user) {
    this.#seats.set(id, { user, room: "" });
    this.#version++;
  }

  leave(id) {
    this.#seats.delete(id);
    this.#version++;
  }

  #all() {
    return [...this.#seats.values(), ...this.#others.values()];
  }

  taken({ id, name }) {
    return this.#all().some(({ user }) => user.id !== id && user.name.toLowerCase() === name.toLowerCase());
  }

  move(id, to) {
    const seat = this.#seats.get(id);
    this.#open(to);
    const from = seat.room;
    seat.room = to;
    this.#version++;
    return from;
  }

  roomOf(id) {
    return this.#seats.get(id)?.room;
  }

  #open(name) {
    if (this.#rooms.has(name)) return;
    if (!/^(?!-)[\p{L}\p{Nd}-]{1,24}$/u.test(name) || name.endsWith("-") || name !== name.toLowerCase()) {
      throw new Error("A room's name has 1 to 24 lower-case letters, digits and hyphens.");
    }
    if (this.#rooms.size >= MAX_ROOMS) {
      const unused = [...this.#rooms].find(([name, { topic }]) => !topic && !this.#all().some(({ room }) => room === name));
      if (!unused) throw new Error("There are too many rooms already.");
      this.#rooms.delete(unused[0]);
    }
    this.#rooms.set(name, { entries: [] });
  }

  // add names a message and keeps it. One that is there already is not added again.
  add({ room, nonce, from, text }) {
    text = String(text ?? "").replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, "").trim();
    if (!text || [...text].length > MAX_TEXT) throw new Error("A message has 1 to 2,000 characters.");
    if (typeof nonce !== "string" || !nonce || nonce.length > 64) throw new Error("A message needs a nonce of 64 bytes at most.");
    const kept = this.#rooms.get(room);
    if (!kept) throw new Error("There is no such room.");
    const old = kept.entries.find((e) => e.nonce === nonce && e.from.id === from.id);
    if (old) return { message: old, fresh: false };
    const message = { id: `${this.#origin}-${++this.#serial}`, nonce, room, from, text, at: Date.now() };
    this.#insert(kept, message);
    return { message, fresh: true };
  }

  // keep adds a message of another server.
  keep(message) {
    try {
      this.#open(message.room);
    } catch {
      return; // there are too many rooms here
    }
    const kept = this.#rooms.get(message.room);
    const { id, nonce, from } = message;
    if (!kept.entries.some((e) => e.id === id || (nonce && e.nonce === nonce && e.from.id === from.id))) this.#insert(kept, message);
  }

  #insert({ entries }, message) {
    entries.push(message);
    entries.sort((a, b) => a.at - b.at);
    entries.splice(0, entries.length - MAX_HISTORY);
  }

  find(room, id) {
    return this.#rooms.get(room)?.entries.find((e) => e.id === id);
  }

  history(room) {
    return this.#rooms.get(room).entries.map((e) => ({ ...e, deliveredTo: this.names(e) }));
  }

  // deliver notes that a user has a message. It returns the message if that is news.
  deliver(room, id, user) {
    const message = this.find(room, id);
    if (!message || message.from.id === user.id) return undefined;
    const names = this.#delivered.get(message) ?? {};
    if (names[user.id] || Object.keys(names).length >= 100) return undefined;
    this.#delivered.set(message, { ...names, [user.id]: user.name });
    return message;
  }

  names(message) {
    return Object.values(this.#delivered.get(message) ?? {}).sort();
  }

  archive() {
    const rooms = [...this.#rooms].map(([name, { entries }]) => ({
      name,
      entries: entries.map((message) => ({ message, delivered: this.#delivered.get(message) })),
    }));
    return { epoch: this.epoch, rooms };
  }

  merge({ epoch, rooms }) {
    if (epoch < this.epoch) this.epoch = epoch;
    for (const { entries } of rooms) {
      for (const { message, delivered } of entries) {
        this.keep(message);
        const kept = this.find(message.room, message.id);
        if (kept && delivered) this.#delivered.set(kept, { ...this.#delivered.get(kept), ...delivered });
      }
    }
  }

  // setOthers notes the sockets of other servers.
  setOthers(sockets, prefix) {
    this.#others.clear();
    for (const { id, data, rooms } of sockets) {
      if (this.#seats.has(id) || !data?.user) continue;
      const key = [...rooms].find((room) => String(room).startsWith(prefix));
      const seat = { user: data.user, room: key ? key.slice(prefix.length) : "" };
      this.#others.set(id, seat);
      try {
        if (seat.room) this.#open(seat.room);
      } catch {
        // It is missing in this server's list.
      }
    }
    this.#version++;
  }

  // presence is who is online and where, each user once.
  presence() {
    const users = new Map();
    const members = new Map([...this.#rooms.keys()].map((name) => [name, new Set()]));
    for (const { user, room } of this.#all()) {
      users.set(user.id, user);
      members.get(room)?.add(user.id);
    }
    return {
      version: this.#version,
      users: [...users.values()].sort((a, b) => a.name.toLowerCase().localeCompare(b.name.toLowerCase()) || a.id.localeCompare(b.id)),
      rooms: [...this.#rooms].map(([name, { topic }]) => ({ name, topic, members: [...members.get(name)].sort() })),
    };
  }
}
