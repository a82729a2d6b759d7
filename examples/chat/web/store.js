// What this page remembers of one room.
import { release } from "./pictures.js";

const MOST = 120; // messages; the server keeps fewer

export class RoomLog {
  #entries = new Map(); // by key
  #epoch = "";
  unread = 0;
  draft = "";

  constructor(me) {
    this.me = me;
  }

  // add takes a message from the server or from this page and returns it as it
  // is kept. One that is known already is brought up to date.
  add(message) {
    const mine = message.from.id === this.me.id;
    const key = mine && message.nonce ? message.nonce : message.id;
    const known = this.#entries.get(key);
    if (known) {
      known.id = message.id;
      known.at = message.at;
      this.confirm(known, message.deliveredTo ?? []);
      return known;
    }
    const entry = { state: "sent", deliveredTo: [], ...message, key, mine };
    this.confirm(entry, entry.deliveredTo);
    this.#entries.set(key, entry);
    this.#trim();
    return entry;
  }

  find(key) {
    return this.#entries.get(key);
  }

  remove(entry) {
    release(entry);
    this.#entries.delete(entry.key);
  }

  // confirm notes who has a message of ours. Each server of a cluster tells of those that
  // it knows of.
  confirm(entry, names) {
    if (!entry.mine || names.length === 0) return;
    entry.deliveredTo = [...new Set([...entry.deliveredTo, ...names])].sort();
    entry.state = "delivered";
  }

  // began notes which run of the server the room was joined in. When it is a new
  // one, the page may show what the server has forgotten, and says so.
  began(epoch) {
    if (this.#epoch && this.#epoch !== epoch && this.#entries.size > 0) {
      const key = `restart ${epoch}`;
      this.#entries.set(key, { key, restart: true, at: this.#last() });
    }
    this.#epoch = epoch;
  }

  // list returns the messages in the server's order, with those that it has not
  // yet at the end.
  list() {
    const place = (entry) => (entry.state === "pending" || entry.state === "failed" ? Infinity : entry.at);
    return [...this.#entries.values()].sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));
  }

  #last() {
    return Math.max(0, ...[...this.#entries.values()].filter((entry) => entry.id).map((entry) => entry.at));
  }

  #trim() {
    for (const entry of this.#entries.values()) {
      if (this.#entries.size <= MOST) return;
      if (entry.state !== "pending") this.remove(entry);
    }
  }
}
