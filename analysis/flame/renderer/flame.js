// A flamegraph to look around in: search, zoom, pointer, touch and keyboard.
//
// Names come from a profile, so they are text wherever they appear: never markup.

class Flamegraph extends Picture {
  constructor(host, data) {
    super(host, data);
    this.gone = new AbortController();
    this.touched = false; // whether a finger was last on it: not every browser says so of a click
    this.listen();
    this.repaint();
  }

  listen() {
    const { signal } = this.gone;
    const on = (target, kind, heard) => target.addEventListener(kind, heard, { signal });
    on(this.canvas, "pointermove", (event) => this.hover(event));
    on(this.canvas, "pointerleave", () => this.read(null));
    on(this.canvas, "pointerdown", ({ pointerType }) => (this.touched = pointerType === "touch"));
    on(this.canvas, "click", (event) => this.click(event));
    on(this.canvas, "keydown", (event) => this.press(event));
    on(this.find, "keydown", (event) => this.pressInSearch(event));
    // The app has keys of its own, which what is typed here is not meant for.
    on(this.host, "keydown", (event) => {
      this.read(null);
      this.slash(event);
      event.stopPropagation();
    });
    on(document, "keydown", (event) => this.slash(event));
    // The theme: with it the colour of text, which the style sheet lets change as a transition.
    on(this.host, "transitionend", (event) => event.target === this.host && this.repaint());
    on(matchMedia("print"), "change", () => this.repaint());
    const resized = new ResizeObserver(() => this.canvas.clientWidth !== this.width && this.redraw());
    resized.observe(this.host);
    signal.addEventListener("abort", () => resized.disconnect());
  }

  zoom(frame) {
    if (frame.run) this.unfolded.add(frame.run);
    this.focus = this.selected = frame;
    this.redraw();
    this.spoken.textContent = this.words.sentence(frame, null);
  }

  home() {
    this.find.value = "";
    this.look();
    this.unfolded = new Set(this.fold.checked ? [] : this.runs());
    this.zoom(this.frames[0]);
  }

  // As it was at first.
  reset() {
    if (this.two) {
      this.larger.checked = true;
      weigh(this.frames, LARGER);
    }
    this.home();
  }

  runs() {
    return this.frames.map((frame) => frame.run).filter(Boolean);
  }

  foldAll(folded) {
    this.unfolded = new Set(folded ? [] : this.runs());
    if (this.focus.run) this.unfolded.add(this.focus.run);
    this.redraw();
  }

  measureBy(by) {
    weigh(this.frames, by);
    if (!this.focus.weight) this.focus = this.frames[0];
    this.redraw();
  }

  select(box) {
    if (!box) return;
    this.selected = box.frame;
    this.showSelected();
    this.ring.scrollIntoView({ block: "nearest" });
    this.spoken.textContent = this.words.sentence(box.frame, box.run);
  }

  enter(box) {
    if (box.run) {
      this.unfolded.add(box.run);
      this.redraw();
      this.select(this.boxOf(box.frame));
    } else this.zoom(box.frame === this.focus ? outside(this.focus) : box.frame);
  }

  look() {
    const asked = this.find.value;
    let pattern = null;
    try {
      pattern = asked ? new RegExp(asked, "i") : null;
      this.find.removeAttribute("aria-invalid");
    } catch {
      this.find.setAttribute("aria-invalid", "true");
      this.told.textContent = "not a regular expression (yet)";
      return;
    }
    this.matches = pattern && search(this.frames, pattern);
    this.told.textContent = this.matches ? this.counted(pattern) : "";
    this.draw();
  }

  // What was found; functions of the table may be too rare to have a frame.
  counted(pattern) {
    if (this.matches.found.size) return this.words.counted(this.matches);
    const rare = this.data.functions.some((each) => pattern.test(textOf(each)));
    return rare ? "only in frames too rare to be drawn" : "nothing found";
  }

  // To the next match, out of the focus if it lies elsewhere.
  next(step) {
    const found = [...(this.matches?.found ?? [])];
    if (!found.length) return;
    const after = found.findIndex((frame) => frame.place > this.selected.place);
    const before = found.findLastIndex((frame) => frame.place < this.selected.place);
    const frame = step > 0 ? found[Math.max(after, 0)] : found.at(before);
    if (frame.run) this.unfolded.add(frame.run);
    if (frame.place < this.focus.place || frame.place >= this.focus.end) this.focus = this.frames[0];
    this.redraw();
    // Too narrow to be drawn: as the focus it is as wide as can be.
    if (this.boxOf(frame)) this.select(this.boxOf(frame));
    else this.zoom(frame);
  }

  hover(event) {
    const box = event.pointerType === "mouse" ? this.under(event) : null;
    this.read(box);
    if (box) this.placeTip(event);
  }

  placeTip(event) {
    const area = this.canvas.getBoundingClientRect();
    const x = event.clientX - area.left;
    const room = area.width - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(x + 14, room))}px`;
    const below = event.clientY + this.tip.offsetHeight + 24 < window.innerHeight;
    const y = event.clientY - area.top + (below ? 18 : -this.tip.offsetHeight - 10);
    this.tip.style.top = `${y}px`;
  }

  click(event) {
    const box = this.under(event);
    if (!box) return;
    const read = !this.touched || this.boxOf(this.selected) === box;
    if (read) this.enter(box);
    else this.select(box);
  }

  press(event) {
    const box = this.boxOf(this.selected);
    const beside = this.rows[box.row];
    const place = beside.indexOf(box);
    const widest = box.boxes.reduce((best, each) => (best && best.room >= each.room ? best : each), null);
    const keys = {
      ArrowDown: () => this.select(widest),
      ArrowUp: () => this.select(box.up),
      ArrowLeft: () => this.select(beside[place - 1]),
      ArrowRight: () => this.select(beside[place + 1]),
      Enter: () => this.enter(box),
      Backspace: () => this.zoom(outside(this.focus)),
      Escape: () => this.home(),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  }

  pressInSearch(event) {
    if (event.key === "Enter") this.next(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") {
      this.find.value = "";
      this.look();
      this.canvas.focus();
    } else return;
    event.preventDefault();
  }

  slash(event) {
    const [target] = event.composedPath();
    const typing = target instanceof Element && target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.find.focus();
  }

  // As if somebody had typed the pattern, and gone to its first match; again, to the next one.
  lookFor(pattern) {
    if (this.find.value !== pattern) this.selected = this.frames[0];
    this.find.value = pattern;
    this.look();
    this.next(1);
  }

  end() {
    this.gone.abort();
  }
}

const shown = new WeakMap(); // by its place: the flamegraph, what it shows, what it was asked for

// The same document stays as it was looked at when it is shown again.
function graphIn(host, data) {
  const text = JSON.stringify(data);
  const before = shown.get(host);
  if (before?.text === text) {
    before.graph.repaint();
    return before.graph;
  }
  before?.graph.end();
  const graph = new Flamegraph(host, data);
  shown.set(host, { text, graph, asked: "" });
  return graph;
}

// As a component of the app, which calls this whenever the page was drawn anew.
export default function mount({ data, parentElement }) {
  const host = parentElement.querySelector(".flame");
  const graph = graphIn(host, data.document);
  const known = shown.get(host);
  if (data.find && known.asked !== data.find) graph.lookFor(data.find);
  known.asked = data.find;
  return () => {
    shown.get(host)?.graph.end();
    shown.delete(host);
  };
}
