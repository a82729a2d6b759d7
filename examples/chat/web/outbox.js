// Messages on their way to the server. They leave one after the other, in the
// order they were written, and each stays here until the server has
// acknowledged it: a connection may end at any moment, and what was under way
// then is sent again. The server knows a message by its nonce and keeps it once.
// What comes too fast for the server waits as long as it says.

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

export class Outbox {
  #queue = [];
  #send;
  #changed;
  #open = false;
  #busy = false;

  // send returns a promise of the server's answer to one message. changed is
  // called with a message whose state is new.
  constructor(send, changed) {
    this.#send = send;
    this.#changed = changed;
  }

  get size() {
    return this.#queue.length;
  }

  add(message) {
    message.state = "pending";
    message.problem = "";
    this.#queue.push(message);
    this.#changed(message);
    this.#run();
  }

  // settle drops a message that turned out to have arrived.
  settle(message) {
    this.#queue = this.#queue.filter((other) => other !== message);
    this.#changed(message);
  }

  // open starts sending, close stops it. What waits stays.
  open() {
    this.#open = true;
    this.#run();
  }

  close() {
    this.#open = false;
  }

  async #run() {
    if (this.#busy) return;
    this.#busy = true;
    while (this.#open && this.#queue.length > 0) {
      const message = this.#queue[0];
      try {
        const answer = await this.#send(message);
        if (answer.error?.data?.code === "rate_limited") await pause(answer.error.data.retryAfter);
        else this.#finish(message, answer);
      } catch {
        // No answer in time, or the connection ended: try again when it can work.
      }
    }
    this.#busy = false;
  }

  #finish(message, answer) {
    if (answer.error) {
      message.state = "failed";
      message.problem = answer.error.message;
    } else {
      message.id = answer.id;
      message.at = answer.at;
      if (message.state !== "delivered") message.state = "sent";
    }
    this.settle(message);
  }
}
