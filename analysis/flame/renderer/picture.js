// The flamegraph as it is seen: its parts, and what is drawn for what is in focus.

const HELP =
  "Arrow keys: from frame to frame. Enter: focus. Backspace: one step out. Escape: all. /: find.";
const HELP_FOR_FINGERS = "Tap a frame to read it, tap it again to focus.";

class Picture {
  constructor(host, data) {
    this.host = host;
    this.data = data;
    this.words = new Words(data);
    this.frames = framesOf(data.tree);
    this.packages = packagesOf(this.frames);
    this.two = data.sides.length > 1;
    this.focus = this.selected = this.frames[0];
    this.hovered = this.matches = null;
    this.unfolded = new Set();
    this.boxes = [];
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
    if (this.two) widthChoice(controls, this.data.sides, (by) => this.measureBy(by));
    this.fold = foldBox(controls, (folded) => this.foldAll(folded));
    const reset = element("button", controls, { type: "button" }, "Reset");
    reset.addEventListener("click", () => this.home());
  }

  buildStage() {
    this.legend = element("ul", this.host, { class: "legend", "aria-label": "Colours" });
    this.way = element("nav", this.host, { class: "path", "aria-label": "Way to the focused frame" });
    const stage = element("div", this.host, { class: "stage" });
    const name = `Flamegraph: ${this.data.title}. ${HELP}`;
    const asked = { tabindex: "0", role: "application", "aria-label": name };
    this.canvas = element("canvas", stage, { ...asked, "aria-roledescription": "flamegraph" });
    this.ring = element("div", stage, { class: "ring", "aria-hidden": "true" });
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
      ? meaningsOfChange(this.data.sides[1])
      : meaningsOfPackages(this.packages, this.data.tree.cost[0]);
    showLegend(this.legend, meanings);
    this.redraw();
  }

  redraw() {
    this.width = this.canvas.clientWidth;
    if (!this.width) return; // not in view: drawn when it has a size
    this.boxes = boxesFrom(this.frames, this.focus, this.unfolded, NARROWEST / this.width);
    this.draw();
    showWay(this.way, this.focus, (frame) => this.zoom(frame));
    this.showSelected();
  }

  draw() {
    const { width, row, colourOf, palette, hovered } = this;
    if (width) paint(this.canvas, this.boxes, { width, row, colourOf, palette, hovered, found: this.matches?.found });
  }

  boxOf(frame) {
    return this.boxes.find((box) => box.frame === frame || box.run?.includes(frame));
  }

  showSelected() {
    const box = this.boxOf(this.selected) ?? this.boxes[0];
    if (!box.run) this.selected = box.frame;
    const { width, row } = this;
    const sides = { left: box.x * width, top: box.row * row, width: box.room * width - 1, height: row - 1 };
    for (const [side, px] of Object.entries(sides)) this.ring.style[side] = `${px}px`;
    this.ring.classList.toggle("quiet", this.selected === this.focus);
    this.card.replaceChildren(this.words.card(box));
  }

  under(event) {
    const area = this.canvas.getBoundingClientRect();
    const x = (event.clientX - area.left) / area.width;
    const row = Math.floor((event.clientY - area.top) / this.row);
    return this.boxes.find((box) => box.row === row && box.x <= x && x < box.x + box.room) ?? null;
  }
}
