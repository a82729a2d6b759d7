// A person in front of a browser.

const PATIENCE = 15_000; // ms to wait for anything

// A Person has a browser profile of their own, and one page to begin with.
export class Person {
  static async arrive(browser, url, name, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, deviceScaleFactor: 2, ...options });
    context.setDefaultTimeout(PATIENCE);
    const person = new Person(name, url, context, await context.newPage());
    person.#watch(person.page);
    return person;
  }

  complaints = []; // of the page, none of which is expected
  tolerates; // an expression for other complaints, if there may be some

  constructor(name, url, context, page) {
    Object.assign(this, { name, url, context, page });
  }

  #watch(page) {
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      // While the server is away, or about to go. The proxy of a cluster says so by 502.
      const gone = /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|50[23] \((Bad Gateway|Service Unavailable)\)/;
      const expected = gone.test(message.text()) || this.tolerates?.test(message.text());
      if (message.type() === "error" && !expected) this.complaints.push(message.text());
    });
  }

  async signIn() {
    await this.page.goto(this.url);
    await this.page.getByLabel("Your name").fill(this.name);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.sees("#link[data-transport=websocket]");
  }

  // server returns the name of the server of a cluster that the page is connected to.
  async server(page = this.page) {
    await page.locator('#fact-server:has-text("server ")').waitFor({ state: "attached" });
    return (await page.locator("#fact-server").textContent()).replace("server ", "");
  }

  // moveTo loads the page again, until a server that is good serves it.
  async moveTo(good, { page = this.page, transport = "websocket" } = {}) {
    for (let i = 0; i < 30; i++) {
      if (await page.locator(`#link[data-transport=${transport}]`).count() && good(await this.server(page))) return;
      // Servers take turns. If a page made a multiple of their number of requests, it would
      // get the same one for ever.
      if (i % 2 === 1) await page.request.get(`${this.url}/socket.io/socket.io.min.js`);
      await page.goto(transport === "websocket" ? this.url : `${this.url}/?transport=${transport}`);
      await page.locator(`#link[data-transport=${transport}]`).waitFor();
    }
    throw new Error(`the proxy never chose the server that ${this.name} wants`);
  }

  // tab opens another page of the same person.
  async tab() {
    const page = await this.context.newPage();
    this.#watch(page);
    await page.goto(this.url);
    return page;
  }

  async enter(room) {
    await this.page.evaluate((hash) => (location.hash = hash), `#${room}`);
    await this.sees(`#here .person:has-text("${this.name}")`);
    await this.sees(`#rooms [aria-current=page]:has-text("${room}")`);
  }

  async say(text) {
    await this.page.locator("#text").fill(text);
    await this.page.locator("#text").press("Enter");
    return this.message(text);
  }

  message(text) {
    return this.page.locator(".message", { has: this.page.getByText(text, { exact: true }) });
  }

  // sees waits until something is there, misses until it is not.
  async sees(what) {
    const locator = typeof what === "string" ? this.page.locator(what) : what;
    await locator.first().waitFor({ state: "attached" });
    return locator.first();
  }

  async misses(selector) {
    await this.page.locator(selector).first().waitFor({ state: "detached" });
  }

  // draw returns a PNG, made by the browser.
  async draw(width, height, noise = false) {
    const data = await this.page.evaluate(drawing, { width, height, noise });
    return { name: "picture.png", mimeType: "image/png", buffer: Buffer.from(data.split(",")[1], "base64") };
  }

  async attach(file) {
    await this.page.locator("#file").setInputFiles(file);
    await this.page.locator("#draft").waitFor();
  }

  // drop lets go of a file above the room, as from the desktop.
  async drop({ name, mimeType, buffer }) {
    const transfer = await this.page.evaluateHandle(({ name, mimeType, base64 }) => {
      const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], name, { type: mimeType }));
      return transfer;
    }, { name, mimeType, base64: buffer.toString("base64") });
    for (const type of ["dragenter", "dragover", "drop"]) {
      await this.page.locator("#drop-target").dispatchEvent(type, { dataTransfer: transfer });
    }
    await this.page.locator("#draft").waitFor();
  }

  // pixels returns the size of the last picture that has arrived.
  async pixels(message) {
    const image = message.locator(".picture img");
    await image.waitFor();
    return image.evaluate(async (img) => {
      await img.decode();
      return [img.naturalWidth, img.naturalHeight];
    });
  }
}

// drawing runs in the page: an evening sky, with noise that no format can pack if
// it has to be large.
function drawing({ width, height, noise }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  const sky = context.createLinearGradient(0, 0, width, height);
  for (const [at, color] of [[0, "#f4b860"], [0.5, "#d96c5f"], [1, "#4b3869"]]) sky.addColorStop(at, color);
  context.fillStyle = sky;
  context.fillRect(0, 0, width, height);
  const disc = (x, y, radius, color) => {
    context.fillStyle = color;
    context.beginPath();
    context.arc(width * x, height * y, height * radius, 0, 7);
    context.fill();
  };
  disc(0.72, 0.3, 0.12, "#ffe9b8");
  for (let i = 0; i < 7; i++) disc(0.1 + i * 0.14, 0.85 - 0.08 * (i % 3), 0.18, "#ffffff55");
  if (noise) {
    const image = context.getImageData(0, 0, width, height);
    for (let i = 0; i < image.data.length; i++) if (i % 4 !== 3) image.data[i] += Math.random() * 40;
    context.putImageData(image, 0, 0);
  }
  return canvas.toDataURL("image/png");
}
