// Frames on a canvas: colours, marks and labels.

const ROW = 20;
const COARSE_ROW = 30; // for fingers
const NARROWEST = 2; // px; a frame below that, and all that it calls, is left out
const LABELLED = 26; // px; a frame below that has no room for a name
const PADDING = 5;
const MOST_ROWS = 301; // all, and the deepest stack that is kept
const MOST_PIXELS = 16e6; // a browser draws nothing on a canvas that is larger than it allows
const FAINTEST = 0.3; // of the full colour, for the smallest change
const DIMMED = 0.28; // what a search did not find
const SIGNS = { more: "\u25b2", less: "\u25bc" };
const HUES = 6;

// The colours of a theme, from the style sheet.
function paletteOf(host) {
  const style = getComputedStyle(host);
  const named = (name) => channels(style.getPropertyValue(`--flame-${name}`));
  const names = ["more", "less", "pale", "still", "surface", "ink", "fold"];
  const palette = Object.fromEntries(names.map((name) => [name, named(name)]));
  palette.hues = Array.from({ length: HUES }, (_, place) => named(`hue-${place + 1}`));
  palette.font = `12px ${style.fontFamily}`;
  return palette;
}

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.trim().slice(at, at + 2), 16));
const mixed = (from, to, share) => from.map((each, i) => Math.round(each + (to[i] - each) * share));
const css = (colour) => `rgb(${colour.join(" ")})`;

// Black or white, whichever is read better (WCAG 2.2, relative luminance).
function labelOn(colour) {
  return luminance(colour) > 0.179 ? "#0b0d10" : "#ffffff";
}

function luminance(colour) {
  const linear = colour.map((each) => {
    const share = each / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

const difference = ({ cost }) => cost[1] - cost[0];
const wayOf = (node) => (!node.changed ? null : difference(node) > 0 ? "more" : "less");

// Two profiles: orange costs more, purple less, grey is alike within the noise.
function colourOfChange(frames, palette) {
  const changes = frames.map(({ node }) => (node.changed ? Math.abs(difference(node)) : 0));
  const largest = changes.reduce((one, other) => Math.max(one, other), 0) || 1;
  return ({ node }) => {
    const way = wayOf(node);
    if (!way) return palette.still;
    const share = Math.sqrt(Math.abs(difference(node)) / largest);
    return mixed(palette.pale, palette[way], FAINTEST + (1 - FAINTEST) * share);
  };
}

// One profile: the packages whose own code costs most have a colour each.
function colourOfPackage(packages, palette) {
  const hues = new Map(packages.slice(0, HUES).map(([name], place) => [name, palette.hues[place]]));
  return ({ node, up }) => (up && hues.get(packageOf(node))) || palette.still;
}

function paint(canvas, boxes, { width, row, colourOf, palette, found }) {
  const height = row * Math.min(MOST_ROWS, 1 + boxes.reduce((most, box) => Math.max(most, box.row), 0));
  const ratio = Math.min(window.devicePixelRatio || 1, Math.sqrt(MOST_PIXELS / (width * height)));
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(canvas.width / width, ratio);
  pen.font = palette.font;
  pen.textBaseline = "middle";
  for (const box of boxes) {
    if (box.row >= MOST_ROWS) continue;
    const dimmed = found && !(box.run ?? [box.frame]).some((frame) => found.has(frame));
    const place = { x: box.x * width, y: box.row * row, width: box.room * width, height: row };
    const whole = colourOf(box.frame);
    const colour = dimmed ? mixed(palette.surface, whole, DIMMED) : whole;
    fill(pen, place, colour);
    mark(pen, place, box, palette, dimmed);
    label(pen, place, box, dimmed ? css(mixed(palette.surface, palette.ink, 0.62)) : labelOn(colour));
  }
}

function fill(pen, { x, y, width, height }, colour) {
  pen.fillStyle = css(colour);
  pen.beginPath();
  const room = Math.max(width - 1, 0.75);
  pen.roundRect(x, y, room, height - 1, room > 8 ? 2 : 0);
  pen.fill();
}

// What is gone is hatched, what is new has a bar at its left, what is folded a dotted edge.
function mark(pen, { x, y, width, height }, { frame, run }, palette, dimmed) {
  if (dimmed || width < 3) return;
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width - 1, height - 1);
  pen.clip();
  if (frame.node.changed && frame.node.state === "gone") hatch(pen, x, y, width, height);
  if (frame.node.changed && frame.node.state === "new") {
    pen.fillStyle = css(palette.ink);
    pen.fillRect(x, y, Math.min(3, width / 3), height);
  }
  if (run) {
    pen.strokeStyle = css(palette.fold);
    pen.setLineDash([2, 3]);
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(x, y + height - 2);
    pen.lineTo(x + width, y + height - 2);
    pen.stroke();
  }
  pen.restore();
}

function hatch(pen, x, y, width, height) {
  pen.strokeStyle = "rgb(255 255 255 / 0.28)";
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (let at = x - height - (x % 8); at < x + width; at += 8) {
    pen.moveTo(at, y + height);
    pen.lineTo(at + height, y);
  }
  pen.stroke();
}

function label(pen, { x, y, width, height }, box, colour) {
  if (width < LABELLED) return;
  // Measuring takes most of the time of drawing, and a box is as wide as long as it is there.
  box.label ??= cut(pen, labelOf(box), width - 2 * PADDING);
  pen.fillStyle = colour;
  pen.fillText(box.label, x + PADDING, y + height / 2);
}

// As much of a text as fits, with a sign that there is more.
function cut(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  let [fits, fails] = [0, text.length];
  while (fails - fits > 1) {
    const middle = (fits + fails) >> 1;
    if (pen.measureText(`${text.slice(0, middle)}\u2026`).width <= room) fits = middle;
    else fails = middle;
  }
  return fits ? `${text.slice(0, fits)}\u2026` : "";
}

function labelOf({ frame, run }) {
  const way = wayOf(frame.node);
  const state = way && frame.node.state !== "both" ? ` (${frame.node.state})` : "";
  const name = run
    ? `${run.length} frames: ${run[0].node.name} \u2026 ${run.at(-1).node.name}`
    : frame.node.name;
  return `${way ? `${SIGNS[way]} ` : ""}${name}${state}`;
}
