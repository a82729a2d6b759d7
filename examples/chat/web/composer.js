// Where messages are written.
import { $ } from "./dom.js";
import { pictureIn, prepare } from "./pictures.js";

const TYPING_EVERY = 2000; // ms: how often the server hears of it
const TYPING_ENDS = 4000; // ms without a key

export class Composer {
  #text = $("text");
  #picture = null; // {blob, width, height, url}
  #typingSince = 0;
  #typingEnds;
  #handlers;

  // handlers: submit(text, picture) and typing(on).
  constructor(handlers) {
    this.#handlers = handlers;
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener("input", () => this.#input());
    this.#text.addEventListener("blur", () => this.#quiet());
    this.#text.addEventListener("paste", (event) => this.#take(event, pictureIn(event.clipboardData)));
    $("file").addEventListener("change", (event) => {
      this.#attach(event.target.files[0]);
      event.target.value = "";
    });
    $("draft-remove").addEventListener("click", () => {
      this.#drop();
      this.focus();
    });
    this.#acceptDrops($("drop-target"));
  }

  get draft() {
    return this.#text.value;
  }

  set draft(text) {
    this.#text.value = text;
    this.#refresh();
  }

  focus() {
    // On a phone the keyboard would cover half of what one came to read.
    if (matchMedia("(hover: hover)").matches) this.#text.focus();
  }

  complain(problem) {
    $("compose-problem").textContent = problem;
  }

  #input() {
    this.complain("");
    this.#refresh();
    if (this.#text.value.trim() === "") {
      this.#quiet();
      return;
    }
    const now = Date.now();
    if (now - this.#typingSince > TYPING_EVERY) {
      this.#typingSince = now;
      this.#handlers.typing(true);
    }
    clearTimeout(this.#typingEnds);
    this.#typingEnds = setTimeout(() => this.#quiet(), TYPING_ENDS);
  }

  #quiet() {
    clearTimeout(this.#typingEnds);
    if (this.#typingSince === 0) return;
    this.#typingSince = 0;
    this.#handlers.typing(false);
  }

  #submit() {
    const text = this.#text.value.trim();
    if (!text && !this.#picture) return;
    const picture = this.#picture;
    this.#picture = null; // its URL goes along with the message
    this.#quiet();
    this.#drop();
    this.draft = "";
    this.#handlers.submit(text, picture);
  }

  #refresh() {
    $("send").disabled = this.#text.value.trim() === "" && !this.#picture;
    if (CSS.supports("field-sizing", "content")) return;
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
  }

  #take(event, file) {
    if (!file) return;
    event.preventDefault();
    this.#attach(file);
  }

  async #attach(file) {
    if (!file) return;
    this.complain("");
    try {
      const picture = await prepare(file);
      this.#drop();
      this.#picture = { ...picture, url: URL.createObjectURL(picture.blob) };
      $("draft-picture").src = this.#picture.url;
      $("draft-size").textContent = `${picture.width} × ${picture.height}, ${Math.ceil(picture.blob.size / 1000)} kB`;
      $("draft").hidden = false;
      this.#refresh();
      this.focus();
    } catch (error) {
      this.complain(error.message);
    }
  }

  #drop() {
    if (this.#picture) URL.revokeObjectURL(this.#picture.url);
    this.#picture = null;
    $("draft").hidden = true;
    $("draft-picture").removeAttribute("src");
    this.#refresh();
  }

  #acceptDrops(target) {
    let depth = 0; // enter and leave come for every element inside
    const mark = (change) => {
      depth = Math.max(0, depth + change);
      target.classList.toggle("dropping", depth > 0);
    };
    const files = (event) => event.dataTransfer.types.includes("Files");
    target.addEventListener("dragenter", (event) => files(event) && mark(1));
    target.addEventListener("dragleave", (event) => files(event) && mark(-1));
    target.addEventListener("dragover", (event) => files(event) && event.preventDefault());
    target.addEventListener("drop", (event) => {
      if (!files(event)) return;
      event.preventDefault();
      mark(-depth);
      this.#attach(pictureIn(event.dataTransfer) ?? event.dataTransfer.files[0]);
    });
  }
}
