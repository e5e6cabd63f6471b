// The flamegraph as it is seen: its parts, and what is drawn for what is in focus.

const HELP =
  "Arrow keys: from frame to frame. Enter: focus. Backspace: one step out. Escape: all. /: find.";
const HELP_FOR_FINGERS = "Tap a frame to read it, tap it again to focus.";

class Picture {
  constructor(host, data) {
    this.host = host;
    this.data = data;
    this.sides = apart(data.sides);
    this.words = new Words(data, this.sides);
    this.frames = framesOf(data.tree);
    this.packages = packagesOf(this.frames);
    this.two = this.sides.length > 1;
    this.focus = this.selected = this.frames[0];
    this.hovered = this.matches = null;
    this.unfolded = new Set();
    this.boxes = [];
    this.rows = []; // the same boxes, by their row
    this.coarse = matchMedia("(pointer: coarse)").matches;
    this.row = this.coarse ? COARSE_ROW : ROW;
    weigh(this.frames, this.two ? LARGER : 0);
    host.replaceChildren();
    this.buildControls();
    this.buildStage();
  }

  buildControls() {
    const controls = element("div", this.host, { class: "controls" });
    this.find = searchBox(controls, () => this.look());
    this.told = element("output", controls, { class: "told", "aria-live": "polite" });
    if (this.two) this.larger = widthChoice(controls, this.sides, (by) => this.measureBy(by));
    this.fold = foldBox(controls, (folded) => this.foldAll(folded));
    const reset = element("button", controls, { type: "button" }, "Reset");
    reset.addEventListener("click", () => this.reset());
  }

  buildStage() {
    this.legend = element("ul", this.host, { class: "legend", "aria-label": "Colours" });
    this.way = element("nav", this.host, { class: "path", "aria-label": "Way to the focused frame" });
    const stage = element("div", this.host, { class: "stage" });
    const name = `Flamegraph: ${this.data.title}. ${HELP}`;
    const asked = { tabindex: "0", role: "application", "aria-label": name };
    this.canvas = element("canvas", stage, { ...asked, "aria-roledescription": "flamegraph" });
    this.ring = element("div", stage, { class: "ring", "aria-hidden": "true" });
    this.shade = element("div", stage, { class: "shade", "aria-hidden": "true", hidden: "" });
    this.tip = element("div", stage, { class: "tip", "aria-hidden": "true", hidden: "" });
    this.card = element("div", this.host, { class: "card" });
    this.spoken = element("p", this.host, { class: "spoken", "aria-live": "polite" });
    element("p", this.host, { class: "help" }, this.coarse ? HELP_FOR_FINGERS : HELP);
  }

  // All of it, in the colours of the theme as it is now.
  repaint() {
    const ink = getComputedStyle(this.host).color.match(/[\d.]+/g).slice(0, 3).map(Number);
    this.host.dataset.theme = luminance(ink) > 0.4 ? "dark" : "light";
    this.palette = paletteOf(this.host);
    this.colourOf = this.two
      ? colourOfChange(this.frames, this.palette)
      : colourOfPackage(this.packages, this.palette);
    const meanings = this.two
      ? meaningsOfChange(this.sides[1])
      : meaningsOfPackages(this.packages, this.data.tree.cost[0]);
    showLegend(this.legend, meanings);
    this.redraw();
  }

  redraw() {
    this.width = this.canvas.clientWidth;
    if (!this.width) return; // not in view: drawn when it has a size
    this.boxes = boxesFrom(this.frames, this.focus, this.unfolded, NARROWEST / this.width);
    this.rows = [];
    for (const box of this.boxes) (this.rows[box.row] ??= []).push(box);
    this.read(null);
    this.draw();
    showWay(this.way, this.focus, (frame) => this.zoom(frame));
    this.showSelected();
  }

  draw() {
    const { width, row, colourOf, palette, matches } = this;
    const found = matches?.found.size ? matches.found : null;
    if (width) paint(this.canvas, this.boxes, { width, row, colourOf, palette, found });
  }

  boxOf(frame) {
    return this.boxes.find((box) => box.frame === frame || box.run?.includes(frame));
  }

  showSelected() {
    const box = this.boxOf(this.selected) ?? this.boxes[0];
    if (!box.run) this.selected = box.frame;
    this.lay(this.ring, box);
    this.ring.classList.toggle("quiet", this.selected === this.focus);
    this.card.replaceChildren(this.words.card(box));
  }

  // The box that the pointer is on, with its card beside it; none takes both away.
  read(box) {
    if (box !== this.hovered) {
      this.hovered = box;
      this.tip.replaceChildren(...(box ? [this.words.card(box)] : []));
      if (box) this.lay(this.shade, box);
    }
    this.shade.hidden = this.tip.hidden = !box;
    this.canvas.style.cursor = box ? "pointer" : "default";
  }

  // Put something over a box.
  lay(cover, box) {
    const { width, row } = this;
    const sides = { left: box.x * width, top: box.row * row, width: box.room * width - 1, height: row - 1 };
    for (const [side, px] of Object.entries(sides)) cover.style[side] = `${px}px`;
  }

  under(event) {
    const area = this.canvas.getBoundingClientRect();
    const x = (event.clientX - area.left) / area.width;
    const row = this.rows[Math.floor((event.clientY - area.top) / this.row)] ?? [];
    return row.find((box) => box.x <= x && x < box.x + box.room) ?? null;
  }
}
