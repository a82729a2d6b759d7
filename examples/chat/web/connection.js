// The socket, and what the page tells people about it.
import { $, el, plural } from "./dom.js";

const MAX_TIMELINE = 30;
const LOST = "Connection lost.";

// connect opens the official Socket.IO client and calls ready after every
// successful connection, lost after every end of one.
export function connect({ ready, lost }) {
  const forced = new URLSearchParams(location.search).get("transport");
  const transports = ["polling", "websocket"].includes(forced) ? [forced] : undefined;
  let expiresIn;
  const socket = io({
    auth: async (send) => { // asked every time that it connects
      const granted = await grant();
      expiresIn = granted.expiresIn;
      send({ token: granted.token });
    },
    reconnectionDelay: 500,
    reconnectionDelayMax: 3000,
    ...(transports && { transports }),
  });
  const status = new Status(socket);
  staySignedIn(socket, status);

  socket.io.on("open", () => status.opened());
  socket.on("connect", () => {
    status.connected();
    status.token(expiresIn);
    ready();
  });
  socket.on("disconnect", (reason) => {
    lost();
    status.disconnected(reason);
  });
  socket.on("goodbye", () => status.goodbye());
  socket.on("connect_error", async (error) => {
    status.failed(error);
    if (await signedOut()) location.replace("/login");
    else if (error.data?.code?.startsWith("token_")) setTimeout(() => socket.connect(), 1000); // there was none to be had
  });
  socket.io.on("reconnect_attempt", (attempt) => status.note(`Attempt ${attempt} to reconnect`));
  $("banner-retry").addEventListener("click", () => socket.disconnect().connect());
  return { socket, status };
}

// grant asks for a token, which is good for some minutes. There is none if the
// server cannot be asked, or knows nobody any more: the socket is refused then.
async function grant() {
  try {
    const answer = await fetch("/api/token", { method: "POST" });
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

// staySignedIn sends a new token before the old one ends, and brings the socket back
// if that came too late.
function staySignedIn(socket, status) {
  let expired = false;
  socket.on("connect", () => (expired = false));
  socket.on("token_expiring", async ({ expiresIn }) => {
    status.note(`The token ends in ${plural(expiresIn, "second", "seconds")}`);
    const { token } = await grant();
    const answer = token && (await socket.timeout(5000).emitWithAck("authenticate", token).catch(() => null));
    if (answer?.expiresIn) status.token(answer.expiresIn, "New token, on the same connection");
  });
  socket.on("token_expired", () => (expired = true));
  socket.on("token_revoked", () => location.replace("/login")); // signed out in another tab
  socket.on("disconnect", () => expired && socket.connect());
}

// signedOut asks for the page itself: without a session it leads elsewhere.
async function signedOut() {
  try {
    return (await fetch("/", { redirect: "manual" })).type === "opaqueredirect";
  } catch {
    return false; // the server is away, which is another matter
  }
}

function clock(time) {
  return new Date(time).toLocaleTimeString([], { hour: "numeric", minute: "2-digit", second: "2-digit" });
}

class Status {
  #socket;
  #waiting = 0;
  #since = performance.now();
  #cause = LOST;
  #wasLost = false;
  #hide;

  constructor(socket) {
    this.#socket = socket;
    this.note("Opening a connection");
    $("connection").addEventListener("toggle", () => this.#showLast());
  }

  opened() {
    const engine = this.#socket.io.engine;
    this.note(`Opened over ${engine.transport.name} after ${this.#elapsed()}`);
    engine.once("upgrade", ({ name }) => {
      this.note(`Upgraded to ${name} after ${this.#elapsed()}`);
      if (this.#socket.connected) this.#link("online", name); // or it will be, over this transport
    });
  }

  connected() {
    this.note(`Connected after ${this.#elapsed()}`);
    this.#link("online", this.#socket.io.engine.transport.name);
    if (this.#wasLost) {
      const text = this.#waiting ? `Sending ${plural(this.#waiting, "message", "messages")} that waited.` : "Nothing was lost.";
      this.#banner("restored", "Connected again.", text);
      this.#hide = setTimeout(() => this.#banner("", "", ""), 2500);
    } else {
      this.#banner("", "", "");
    }
    this.#wasLost = false;
    this.#cause = LOST;
  }

  goodbye() {
    this.#cause = "Server is restarting…";
    this.note("The server says it is about to stop");
  }

  disconnected(reason) {
    this.#since = performance.now();
    this.#wasLost = true;
    this.note(`Disconnected: ${reason}`);
    this.#link("lost", "Reconnecting");
    this.#explain();
  }

  failed(error) {
    if (this.#socket.active) {
      this.note(`No answer: ${error.message}`);
      this.#wasLost = true;
      this.#link("lost", "Reconnecting");
      this.#explain();
      return;
    }
    this.note(`Refused: ${error.message}`);
    this.#link("lost", "Refused");
    this.#banner("refused", error.message, "The server did not let this page in. Signing in anew may help.", true);
  }

  // waiting tells how many messages wait to be sent.
  waiting(count) {
    this.#waiting = count;
    $("fact-pending").textContent = plural(count, "message", "messages");
    if (this.#wasLost) this.#explain();
  }

  // token tells until when the token is good, and why there is a new one.
  token(expiresIn, news = "Signed in by a token") {
    const end = clock(Date.now() + expiresIn * 1000);
    this.note(`${news}, until ${end}`);
    $("fact-token").textContent = end;
  }

  acknowledged(milliseconds) {
    $("fact-ack").textContent = `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
  }

  note(text) {
    const list = $("timeline");
    list.append(el("li", {}, el("time", { textContent: clock(Date.now()) }), el("span", { textContent: text })));
    if (list.children.length > MAX_TIMELINE) list.firstChild.remove();
    this.#showLast();
  }

  #showLast() {
    $("timeline").scrollTop = $("timeline").scrollHeight;
  }

  #explain() {
    const title = navigator.onLine ? this.#cause : "You are offline.";
    const text = this.#waiting
      ? `Reconnecting. ${plural(this.#waiting, "message waits", "messages wait")} and will be sent.`
      : "Reconnecting. What you write now waits and will be sent.";
    this.#banner("lost", title, text, true);
  }

  #banner(kind, title, text, retry = false) {
    clearTimeout(this.#hide);
    const banner = $("banner");
    banner.dataset.kind = kind;
    if (!kind) return; // the text stays while the banner fades
    $("banner-title").textContent = title;
    $("banner-text").textContent = text;
    $("banner-retry").hidden = !retry;
  }

  #link(state, text) {
    $("link").dataset.state = state;
    $("link").dataset.transport = state === "online" ? text : "";
    $("link-text").textContent = text;
    $("fact-transport").textContent = state === "online" ? text : "none";
    document.body.dataset.link = state;
  }

  #elapsed() {
    return `${Math.round(performance.now() - this.#since)} ms`;
  }
}
