// The list of messages of the room on show.
import { $, avatar, el, icon, listNames, plural, reconcile } from "./dom.js";

const GROUP_GAP = 5 * 60_000; // ms between messages that still stand together
const NEAR_END = 80; // px
const PICTURE = { width: 340, height: 320 }; // px, at most

const day = new Intl.DateTimeFormat([], { weekday: "long", month: "long", day: "numeric" });
const clock = new Intl.DateTimeFormat([], { hour: "numeric", minute: "2-digit" });

export class MessageView {
  #scroller = $("scroller");
  #list = $("log");
  #nodes = new Map();
  #handlers;
  #pictures;
  #log;
  #unseen = 0;
  #stuck = true; // the end is in view and stays so
  #gliding = false; // on the way to the end
  #news; // the message that comes in with this update

  // handlers: retry(message), discard(message), fetchPicture(message), open(message).
  constructor(handlers) {
    this.#handlers = handlers;
    this.#pictures = new IntersectionObserver((seen) => this.#fetch(seen), { root: this.#scroller, rootMargin: "200px" });
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#scroller.addEventListener("scrollend", () => {
      this.#gliding = false;
      this.#scrolled();
    });
    for (const gesture of ["wheel", "touchmove", "keydown"]) {
      this.#scroller.addEventListener(gesture, () => (this.#gliding = false), { passive: true });
    }
    $("newer").addEventListener("click", () => this.scrollToEnd(true));
    new ResizeObserver(() => this.#stuck && this.scrollToEnd()).observe(this.#scroller);
  }

  // show puts another room on show.
  show(log) {
    this.#log = log;
    for (const node of this.#nodes.values()) node.remove();
    this.#nodes.clear();
    this.#list.setAttribute("aria-live", "off"); // what was said before is read on demand
    this.update();
    this.scrollToEnd();
    requestAnimationFrame(() => this.#list.setAttribute("aria-live", "polite"));
  }

  // update brings the list up to date. news is the message that came in, if that
  // is why.
  update(news) {
    const stay = news?.mine || this.#stuck;
    this.#news = news;
    reconcile(this.#list, this.#nodes, arrange(this.#log.list()), (item) => this.#make(item), (node, item) => this.#refresh(node, item));
    this.#news = undefined;
    $("welcome").hidden = this.#nodes.size > 0;
    if (stay && (news || !this.#gliding)) this.scrollToEnd(Boolean(news));
    else if (news && !stay) this.#announceNewer();
  }

  scrollToEnd(smooth = false) {
    const box = this.#scroller;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#gliding = smooth && !calm && box.scrollHeight - box.scrollTop - box.clientHeight >= 1;
    box.scrollTo({ top: box.scrollHeight, behavior: this.#gliding ? "smooth" : "instant" });
    this.#scrolled();
  }

  #scrolled() {
    const box = this.#scroller;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END;
    if (atEnd) this.#gliding = false;
    this.#stuck = atEnd || this.#gliding;
    if (!this.#stuck) return;
    this.#unseen = 0;
    $("newer").hidden = true;
  }

  #announceNewer() {
    this.#unseen++;
    $("newer-text").textContent = plural(this.#unseen, "new message", "new messages");
    $("newer").hidden = false;
  }

  #make(item) {
    if (item.text) return el("li", { className: item.className }, el("span", { textContent: item.text }));
    const { message } = item;
    const node = el("li", { className: "message" });
    node.dataset.key = message.key;
    node.classList.toggle("mine", message.mine);
    node.classList.toggle("announcement", Boolean(message.announcement));
    node.classList.toggle("enter", message === this.#news);
    const bubble = el("div", { className: "bubble" },
      message.picture && this.#picture(message),
      message.text && text(message.text),
      el("p", { className: "meta" }, el("time", { textContent: clock.format(message.at) }), message.mine && el("span", { className: "tick" })));
    node.append(avatar(message.from), el("div", { className: "body" }, el("p", { className: "from", textContent: message.from.name }), bubble));
    return node;
  }

  #refresh(node, item) {
    const { message } = item;
    if (!message) return;
    node.classList.toggle("first", item.first);
    node.classList.toggle("last", item.last);
    if (message.picture) this.#fill(node.querySelector(".picture"), message);
    if (message.mine && node.dataset.tick !== tickOf(message)) this.#tick(node, message);
  }

  #tick(node, message) {
    node.dataset.state = message.state;
    node.dataset.tick = tickOf(message);
    const tick = node.querySelector(".tick");
    tick.title = wordsFor(message);
    tick.replaceChildren(icon(message.state), el("span", { className: "hidden", textContent: wordsFor(message) }));
    node.querySelector(".trouble")?.remove();
    if (message.state !== "failed") return;
    node.querySelector(".body").append(el("p", { className: "trouble" },
      el("span", { textContent: message.problem }),
      el("button", { className: "quiet", textContent: "Try again", onclick: () => this.#handlers.retry(message) }),
      el("button", { className: "quiet", textContent: "Discard", onclick: () => this.#handlers.discard(message) })));
  }

  // #picture makes the frame of a picture at its final size, so that nothing
  // moves when the bytes come.
  #picture(message) {
    const { width, height } = message.picture;
    const scale = Math.min(1, PICTURE.width / width, PICTURE.height / height);
    const frame = el("button", { className: "picture", type: "button", onclick: () => message.picture.url && this.#handlers.open(message) });
    frame.style.width = `${Math.max(48, Math.round(width * scale))}px`;
    frame.style.aspectRatio = `${width} / ${height}`;
    frame.dataset.key = message.key;
    return frame;
  }

  #fill(frame, message) {
    const { url, problem } = message.picture;
    if (url && !frame.querySelector("img")) {
      frame.replaceChildren(el("img", { src: url, alt: `Picture from ${message.from.name}`, draggable: false }));
    } else if (problem) {
      frame.replaceChildren(el("span", { textContent: problem }));
    } else if (!url) {
      this.#pictures.observe(frame);
    }
  }

  #fetch(seen) {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      this.#pictures.unobserve(target);
      const message = this.#log.find(target.dataset.key);
      if (message && !message.picture.url) this.#handlers.fetchPicture(message);
    }
  }
}

// arrange turns messages into what the list shows: days, restarts and messages,
// each of which knows whether it begins or ends a group.
function arrange(messages) {
  const items = [];
  let last, date;
  for (const message of messages) {
    if (message.restart) {
      items.push({ key: message.key, className: "divider restart", text: "The server has restarted. It keeps messages in memory, so what is above is only on this page now." });
      last = undefined;
      continue;
    }
    const today = day.format(message.at);
    if (today !== date) {
      date = today;
      items.push({ key: `day ${today}`, className: "divider", text: today === day.format(Date.now()) ? "Today" : today });
      last = undefined;
    }
    const first = !last || last.message.from.id !== message.from.id || message.at - last.message.at > GROUP_GAP ||
      Boolean(message.announcement) !== Boolean(last.message.announcement);
    if (last) last.last = first;
    last = { key: message.key, message, first, last: true };
    items.push(last);
  }
  return items;
}

function wordsFor({ state, deliveredTo }) {
  switch (state) {
    case "pending": return "Waiting to be sent";
    case "failed": return "Not sent";
    case "delivered": return `Delivered to ${listNames(deliveredTo)}`;
    default: return "Sent";
  }
}

function tickOf(message) {
  return `${message.state} ${message.deliveredTo.length}`;
}

// text shows a message's text. Addresses become links; everything is text.
function text(source) {
  const node = el("p", { className: "text", dir: "auto" });
  node.classList.toggle("jumbo", /^(\p{Extended_Pictographic}\p{Emoji_Modifier}?\uFE0F?){1,3}$/u.test(source));
  for (const part of source.split(/(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]])/)) {
    const link = /^https?:\/\//.test(part);
    node.append(link ? el("a", { href: part, textContent: part, target: "_blank", rel: "noopener noreferrer" }) : part);
  }
  return node;
}
