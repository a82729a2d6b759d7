// The chat page: it ties the socket, what is remembered and what is shown.
import { Composer } from "./composer.js";
import { connect } from "./connection.js";
import { $, el, listNames, paintAvatar } from "./dom.js";
import { MessageView } from "./messages.js";
import { Outbox } from "./outbox.js";
import { PeopleView } from "./people.js";
import { receive } from "./pictures.js";
import { RoomLog } from "./store.js";

const ANSWER = 8000; // ms that the server has to acknowledge
const TYPING_FADES = 5000; // ms after which a typist who said no more has stopped

const me = { id: document.body.dataset.userId, name: document.body.dataset.userName };
const logs = new Map(); // by room
let active = roomInAddress();
let presence = { version: -1, users: [], rooms: [] };
const typists = new Map(); // user id -> {user, timer}, in the active room

function logOf(room) {
  if (!logs.has(room)) logs.set(room, new RoomLog(me));
  return logs.get(room);
}

const people = new PeopleView();
const view = new MessageView({ retry, discard, fetchPicture, open: openPicture });
const composer = new Composer({ submit, typing: (on) => socket.connected && socket.emit("typing", { on }) });
const outbox = new Outbox(post, (message) => {
  status.waiting(outbox.size);
  refresh(message);
});

if (!globalThis.io) {
  $("banner").dataset.kind = "refused";
  $("banner-title").textContent = "The Socket.IO client did not load.";
  $("banner-text").textContent = "Without npm the page takes it from cdn.socket.io, which this browser cannot reach.";
  throw new Error("the Socket.IO client did not load");
}

const { socket, status } = connect({
  ready() {
    presence.version = -1; // the server may have begun anew
    join();
  },
  lost() {
    outbox.close();
    forgetTypists();
  },
});

// ask sends an event and resolves to the answer. It fails when none comes.
async function ask(event, data) {
  const start = performance.now();
  const answer = await socket.timeout(ANSWER).emitWithAck(event, data);
  status.acknowledged(performance.now() - start);
  return answer;
}

// Rooms

function roomInAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || "general";
  } catch {
    return "general";
  }
}

async function join() {
  const room = active;
  const answer = await ask("join", { room }).catch(() => null);
  if (!answer) {
    if (socket.connected && room === active) join(); // or the next connection does
    return;
  }
  if (answer.error) {
    $("room-problem").textContent = answer.error.message;
    location.hash = "#general";
    return;
  }
  if (answer.server) $("fact-server").textContent = `server ${answer.server}`;
  const log = logOf(room);
  log.began(answer.epoch);
  for (const message of answer.messages) {
    const entry = log.add(message);
    if (entry.state === "pending") {
      entry.state = "sent"; // it arrived, but the answer got lost
      outbox.settle(entry);
    }
  }
  confirm(room, answer.messages);
  if (room === active) view.update();
  outbox.open();
}

function enterRoom(room) {
  if (room === active) return;
  logOf(active).draft = composer.draft;
  active = room;
  forgetTypists();
  const log = logOf(room);
  log.unread = 0;
  composer.draft = log.draft;
  view.show(log);
  showPeople();
  showTitle();
  composer.focus();
  if (socket.connected) join();
}

addEventListener("hashchange", () => enterRoom(roomInAddress()));

$("skip").addEventListener("click", () => $("text").focus());

$("new-room").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = $("room-name");
  const room = field.value.trim().toLowerCase().replace(/^#/, "").replace(/[\s_]+/g, "-");
  $("room-problem").textContent = "";
  if (!room) return;
  field.value = "";
  if ($("rooms-panel").matches(":popover-open")) $("rooms-panel").hidePopover();
  location.hash = `#${encodeURIComponent(room)}`;
});

addEventListener("keydown", (event) => {
  if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
  event.preventDefault();
  const names = presence.rooms.map(({ name }) => name);
  const step = event.key === "ArrowUp" ? names.length - 1 : 1;
  if (names.length > 0) location.hash = `#${encodeURIComponent(names[(names.indexOf(active) + step) % names.length])}`;
});

// Messages

function submit(text, picture) {
  const announcement = text.match(/^\/announce\s+(.+)/s);
  if (announcement && !picture) {
    announce(announcement[1]);
    return;
  }
  const message = logOf(active).add({ nonce: nonce(), room: active, from: me, text, at: Date.now(), picture });
  outbox.add(message);
  view.update(message);
}

// What waits here exists nowhere else.
addEventListener("beforeunload", (event) => outbox.size > 0 && event.preventDefault());

function nonce() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function post({ room, nonce, text, picture }) {
  return ask("post", { room, nonce, text, picture: picture && (await picture.blob.arrayBuffer()) });
}

// announce takes the way of any program with a session: an ordinary request.
async function announce(text) {
  try {
    const answer = await fetch(`/api/rooms/${encodeURIComponent(active)}/announce`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text }),
    });
    if (!answer.ok) composer.complain((await answer.json()).error);
  } catch {
    composer.complain("The server cannot be reached. Announcements do not wait.");
  }
}

function retry(message) {
  outbox.add(message);
}

function discard(message) {
  logOf(message.room).remove(message);
  view.update();
}

async function fetchPicture(message) {
  const answer = await ask("picture", { room: message.room, id: message.id }).catch(() => null);
  if (!answer) message.picture.problem = "The connection ended while this picture was on its way.";
  else if (answer.error) message.picture.problem = answer.error.message;
  else receive(message.picture, answer.type, answer.data);
  refresh(message);
}

// confirm tells the server that messages of others have arrived.
function confirm(room, messages) {
  const ids = messages.filter(({ from }) => from.id !== me.id).map(({ id }) => id);
  if (ids.length > 0) socket.emit("received", { room, ids });
}

function refresh(message) {
  if (message.room === active) view.update();
}

function openPicture({ picture, from }) {
  $("lightbox-picture").src = picture.url;
  $("lightbox-picture").alt = `Picture from ${from.name}`;
  $("lightbox").showModal();
}

$("lightbox").addEventListener("click", (event) => event.target === $("lightbox") && $("lightbox").close());

socket.on("message", (message) => {
  if (message.picture?.data) {
    receive(message.picture, message.picture.type, message.picture.data);
    delete message.picture.data;
  }
  const entry = logOf(message.room).add(message);
  confirm(message.room, [message]);
  if (message.room !== active) return;
  setTyping(message.from, false);
  view.update(entry);
  if (document.hidden && !entry.mine) {
    logOf(active).unread++;
    showTitle();
  }
});

socket.on("delivered", ({ room, nonce, id, to }) => {
  const log = logOf(room);
  const message = log.find(nonce || id);
  if (!message) return;
  log.confirm(message, to);
  refresh(message);
});

socket.on("activity", ({ room }) => {
  if (room === active) return;
  logOf(room).unread++;
  showPeople();
  showTitle();
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  logOf(active).unread = 0;
  showTitle();
});

// People

socket.on("presence", (next) => {
  if (next.version < presence.version) return; // overtaken on its way
  presence = next;
  showPeople();
});

socket.on("typing", ({ room, user, on }) => {
  if (room === active && user.id !== me.id) setTyping(user, on);
});

function setTyping(user, on) {
  clearTimeout(typists.get(user.id)?.timer);
  if (on) typists.set(user.id, { user, timer: setTimeout(() => setTyping(user, false), TYPING_FADES) });
  else if (!typists.delete(user.id)) return;
  const names = [...typists.values()].map(({ user }) => user.name);
  const words = names.length > 0 ? `${listNames(names, 3)} ${names.length === 1 ? "is" : "are"} typing` : "";
  $("typing").replaceChildren(...(words ? [el("span", { className: "dots" }), words] : []));
  showPeople();
}

function forgetTypists() {
  for (const id of [...typists.keys()]) setTyping({ id }, false);
}

function showPeople() {
  const unread = (room) => logs.get(room)?.unread ?? 0;
  people.show({ presence, active, me, unread, typing: typists });
}

function showTitle() {
  const unread = [...logs.values()].reduce((sum, log) => sum + log.unread, 0);
  document.title = `${unread > 0 ? `(${unread}) ` : ""}#${active} · sioplug chat`;
}

paintAvatar($("my-avatar"), me);
view.show(logOf(active));
showPeople();
showTitle();
composer.focus();
