// What comes next: screens and their pictures, in memory before they are needed.

export const TILE = 192; // pixels, sides that the server makes
export const LARGE = 960;
const AHEAD = { single: 5, auto: 4, grid: 2 }; // screens beside the one that is shown

export class Feed {
  /**
   * @param {string} tab names this tab, so that the server keeps what it handed out
   * @param {() => string[]} others images that the page has besides those that wait here
   * @param {(state: object) => void} arrived called when screens came
   */
  constructor(tab, others, arrived) {
    this.tab = tab;
    this.others = others;
    this.arrived = arrived;
    this.mode = "auto";
    this.tiles = 48;
    this.screens = [];
    this.pictures = new Map();
    this.isEmpty = false; // the server had nothing
    this.isAsking = false;
    this.isNew = true;
    this.turn = 0;
  }

  /** Return the next screen if it is there, and see that more come. */
  next() {
    const screen = this.screens.shift() ?? null;
    this.fill();
    return screen;
  }

  /** Put a screen back in front. */
  back(screen) {
    if (screen) this.screens.unshift(screen);
  }

  /** Forget what is waiting and ask anew. */
  restart(mode) {
    this.mode = mode;
    this.screens = [];
    this.isNew = true;
    this.turn += 1;
    this.isAsking = false;
    this.fill();
  }

  async fill() {
    const wanted = AHEAD[this.mode] - this.screens.length;
    if (this.isAsking || wanted <= 0) return;
    this.isAsking = true;
    const turn = this.turn;
    const asked = { tab: this.tab, mode: this.mode, n: wanted, tiles: this.tiles, is_new: this.isNew, held: this.#held() };
    try {
      const response = await fetch("next", { method: "POST", body: JSON.stringify(asked) });
      if (!response.ok) throw new Error(String(response.status));
      const { screens, state } = await response.json();
      if (turn !== this.turn) return;
      this.isNew = false;
      this.isEmpty = screens.length === 0;
      for (const screen of screens) this.load(screen);
      this.screens.push(...screens);
      this.arrived(state);
    } catch {
      /* the state is asked for again and again, and then this */
    } finally {
      if (turn === this.turn) this.isAsking = false;
    }
  }

  /** Return the images that a server which was started again must not hand out once more. */
  #held() {
    return [...this.others(), ...this.screens.flatMap(({ items }) => items.map(({ image }) => image))];
  }

  /** Fetch and decode the pictures of a screen. */
  load(screen) {
    const side = screen.kind === "grid" ? TILE : LARGE;
    for (const item of screen.items) this.picture(item.image, side);
  }

  /** Return the element of a picture; `ready` settles once it can be painted. */
  picture(image, side) {
    const key = `${image}/${side}`;
    let element = this.pictures.get(key);
    if (!element) {
      element = new Image();
      element.alt = "";
      element.decoding = "sync";
      element.draggable = false;
      element.src = `image/${image}?side=${side}`;
      element.ready = arrived(element);
      this.pictures.set(key, element);
      if (this.pictures.size > 400) this.pictures.delete(this.pictures.keys().next().value);
    }
    return element;
  }
}

/** Resolve to true once a picture can be painted, to false if the server has none; wait while it is away. */
async function arrived(element) {
  const { src } = element;
  for (let tries = 0; tries < 3; ) {
    try {
      await element.decode();
      return true;
    } catch { /* what went wrong is asked below */ }
    const status = await fetch(src).then((response) => response.status, () => 0);
    if (status >= 400) return false;
    if (status) tries += 1;
    await new Promise((resolve) => setTimeout(resolve, 500));
    element.src = src;
  }
  return false;
}
