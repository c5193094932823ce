// Answers on their way: kept in the browser until the server says that they are on disk.

const MOST = 100; // messages of one request
const PAUSES = [300, 700, 1500, 3000]; // milliseconds between tries

export class Outbox {
  /**
   * @param {string} name of the store; messages of a tab that was closed are sent by the next one
   * @param {{acknowledged: Function, refused: Function, changed: Function}} told
   */
  constructor(name, told) {
    this.prefix = `${name}:`;
    this.told = told;
    this.trouble = null; // why nothing can be saved now
    this.failures = 0;
    this.isSending = false;
    this.waiting = this.#stored();
    this.number = this.waiting.length ? this.waiting.at(-1).number + 1 : 1;
  }

  /** Keep a message and send it; its id makes sure that it counts once. */
  put(said) {
    const message = { ...said, id: said.id ?? newId() };
    const kept = { number: this.number++, message };
    kept.key = `${this.prefix}${String(kept.number).padStart(9, "0")}:${message.id}`;
    try { localStorage.setItem(kept.key, JSON.stringify(message)); } catch { /* kept in this tab */ }
    this.waiting.push(kept);
    this.told.changed();
    this.send();
    return message.id;
  }

  get isEmpty() {
    return this.waiting.length === 0;
  }

  /** Resolve once nothing waits. */
  async drained() {
    while (!this.isEmpty) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  async send() {
    if (this.isSending) return;
    this.isSending = true;
    while (!this.isEmpty) {
      if (await this.#sent(this.waiting.slice(0, MOST))) this.failures = 0;
      else await this.#pause();
    }
    this.isSending = false;
  }

  async #sent(some) {
    let response, body;
    try {
      const messages = some.map((kept) => kept.message);
      response = await fetch("answers", { method: "POST", body: JSON.stringify({ messages }) });
      body = await response.json();
    } catch {
      return this.#failed("offline", "The server does not answer.");
    }
    if (!response.ok) return this.#failed(body.error?.reason ?? "fault", body.error?.message ?? `The server said ${response.status}.`);
    this.trouble = null;
    some.forEach((kept, i) => {
      const done = body.done[i];
      localStorage.removeItem(kept.key);
      if (done.refused) this.told.refused(kept.message, done.refused);
    });
    this.waiting = this.waiting.filter((kept) => !some.includes(kept));
    this.told.acknowledged(body.state);
    return true;
  }

  #failed(kind, text) {
    this.trouble = { kind, text };
    this.told.changed();
    return false;
  }

  #pause() {
    const longest = PAUSES[Math.min(this.failures++, PAUSES.length - 1)];
    return new Promise((resolve) => setTimeout(resolve, longest));
  }

  #stored() {
    const found = [];
    for (let i = 0; i < localStorage.length; i += 1) {
      const key = localStorage.key(i);
      if (!key.startsWith(this.prefix)) continue;
      const number = Number(key.slice(this.prefix.length).split(":")[0]);
      found.push({ key, number, message: JSON.parse(localStorage.getItem(key)) });
    }
    return found.sort((a, b) => a.number - b.number);
  }
}

/** Return an id that no other message has. */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
