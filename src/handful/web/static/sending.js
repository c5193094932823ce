// Sends files to the server, a few requests at a time, and hands each its answer.

const FILES = 8; // in one request: small enough for the first answers to come soon
const REQUESTS = 2; // at once
const RETRIES = 20; // while the server is overloaded

export class Sender {
  /**
   * @param {{maxBytes: number, maxFiles: number, maxRequestBytes: number}} limits
   * @param {(item: object, answer: object) => void} answered called with each item's answer
   */
  constructor(limits, answered) {
    this.limits = limits;
    this.answered = answered;
    this.waiting = [];
    this.running = 0;
  }

  add(items) {
    for (const item of items) {
      if (item.file.size > this.limits.maxBytes) {
        const most = Math.round(this.limits.maxBytes / 2 ** 20);
        this.answered(item, fault("too_large", `The file is larger than ${most} MiB.`));
      } else {
        this.waiting.push(item);
      }
    }
    this.#start();
  }

  clear() {
    this.waiting = [];
  }

  #start() {
    while (this.running < REQUESTS && this.waiting.length) {
      this.running += 1;
      this.#send(this.#take()).finally(() => {
        this.running -= 1;
        this.#start();
      });
    }
  }

  #take() {
    const most = Math.min(FILES, this.limits.maxFiles);
    const taken = [];
    let bytes = 4096;
    while (this.waiting.length && taken.length < most) {
      bytes += this.waiting[0].file.size + 1024;
      if (taken.length && bytes > this.limits.maxRequestBytes) break;
      taken.push(this.waiting.shift());
    }
    return taken;
  }

  async #send(items) {
    const answers = await this.#answers(items);
    items.forEach((item, i) => this.answered(item, answers[i]));
  }

  async #answers(items) {
    const all = (reason, message) => items.map(() => fault(reason, message));
    const form = new FormData();
    for (const item of items) form.append("files", item.file, item.file.name);
    for (let attempt = 0; ; attempt += 1) {
      let response, body;
      try {
        response = await fetch("predict", { method: "POST", body: form });
        body = await response.json();
      } catch {
        return all("network", "The server could not be reached, or the file is no longer there.");
      }
      if (body.predictions) return body.predictions;
      if (response.status !== 503 || attempt === RETRIES) {
        return all(body.error?.reason, body.error?.message ?? `The server said ${response.status}.`);
      }
      const seconds = Number(response.headers.get("Retry-After")) || 1;
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds * (0.5 + Math.random())));
    }
  }
}

function fault(reason, message) {
  return { error: { reason, message } };
}
