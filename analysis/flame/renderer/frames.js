// What a flame document says, as frames with their places; nothing is drawn here.
//
// The scripts of this folder are one module, put together by analysis/flame/standalone.py: in a
// page of its own, and as a component of the app. A document is what analysis/flame/graph.py makes.

const LARGER = "larger"; // the width: of each frame the larger of its two costs
const SHORTEST_FOLD = 4; // frames that only call the next one are folded from this many on
const PASSED_ON = 0.99; // of its cost: a frame that "only calls the next one" passes on so much
const IN_NO_FOLDER = /\.py$|^<frozen/; // modules of Python's own, one by one too small to tell

// Every frame, each before those that it calls; without recursion, as stacks can be deep.
function framesOf(root) {
  const frames = [];
  const rest = [[root, null]];
  while (rest.length) {
    const [node, up] = rest.pop();
    const frame = { node, up, place: frames.length, children: [], text: textOf(node), run: null };
    up?.children.push(frame);
    frames.push(frame);
    for (let i = node.children.length - 1; i >= 0; i--) rest.push([node.children[i], frame]);
  }
  for (const frame of [...frames].reverse()) {
    frame.end = frame.children.length ? frame.children.at(-1).end : frame.place + 1;
  }
  findRuns(frames);
  return frames;
}

const textOf = (node) => (node.file ? `${node.name} (${node.file})` : node.name);

// Long runs of frames of which each only calls the next one: the way in, through a framework.
function findRuns(frames) {
  for (const frame of frames) {
    if (!onlyCalls(frame) || (frame.up && onlyCalls(frame.up))) continue;
    const run = [];
    for (let next = frame; onlyCalls(next); next = next.children[0]) run.push(next);
    if (run.length >= SHORTEST_FOLD) for (const each of run) each.run = run;
  }
}

function onlyCalls({ node, up, children }) {
  if (!up || children.length !== 1) return false;
  const next = children[0].node;
  const alike = next.state === node.state && next.changed === node.changed;
  return alike && node.cost.every((cost, side) => next.cost[side] >= PASSED_ON * cost);
}

// How wide each frame is to be: its cost on one side, or so that both sides have room.
function weigh(frames, by) {
  for (const frame of [...frames].reverse()) {
    const { cost } = frame.node;
    if (by !== LARGER) {
      frame.weight = cost[by];
      continue;
    }
    const rest = cost.map((own, side) =>
      frame.children.reduce((left, child) => left - child.node.cost[side], own),
    );
    frame.weight = Math.max(0, ...rest);
    for (const child of frame.children) frame.weight += child.weight;
  }
}

// The boxes to draw from a frame on: x and room from 0 to 1, row from 0. A folded run is one box.
function boxesFrom(frames, focus, unfolded, narrowest) {
  const boxes = [];
  const placed = new Map();
  for (let place = focus.place; place < focus.end; place++) {
    const frame = frames[place];
    const above = frame === focus ? null : placed.get(frame.up);
    const box = above ? boxIn(above, frame) : { frame, x: 0, room: 1, row: 0, used: 0, boxes: [] };
    if (box.room < narrowest || !box.room) {
      place = frame.end - 1;
      continue;
    }
    box.run = frame.run && !unfolded.has(frame.run) ? frame.run : null;
    placed.set(frame, box);
    if (above && box.run && above.run === box.run) {
      Object.assign(box, { row: above.row, drawn: above.drawn });
      continue;
    }
    box.drawn = box;
    box.up = above?.drawn ?? null;
    box.up?.boxes.push(box);
    boxes.push(box);
  }
  return boxes;
}

function boxIn(above, frame) {
  const share = above.frame.weight > 0 ? frame.weight / above.frame.weight : 0;
  const room = Math.min(share, 1 - above.used) * above.room;
  const box = { frame, x: above.x + above.used * above.room, room, row: above.row + 1 };
  above.used = Math.min(1, above.used + share);
  return Object.assign(box, { used: 0, boxes: [] });
}

// Where one sees more than here: the next frame above that calls others as well.
function outside(frame) {
  let found = frame.up;
  while (found?.up && found.children.length === 1) found = found.up;
  return found ?? frame;
}

// Matches of a pattern, and what they cost together: one inside another is not counted again.
function search(frames, pattern) {
  const found = new Set();
  const cost = frames[0].node.cost.map(() => 0);
  let counted = 0; // up to this place something above is counted already
  // The first one is the whole, which has no name of a profile.
  for (const frame of frames.slice(1)) {
    if (!pattern.test(frame.text)) continue;
    found.add(frame);
    if (frame.place < counted) continue;
    counted = frame.end;
    frame.node.cost.forEach((own, side) => (cost[side] += own));
  }
  return { found, cost };
}

// Packages by what their own code costs, the dearest first.
function packagesOf(frames) {
  const costs = new Map();
  for (const { node } of frames.slice(1)) {
    const name = packageOf(node);
    costs.set(name, (costs.get(name) ?? 0) + node.self[0]);
  }
  return [...costs].sort((one, other) => other[1] - one[1]);
}

function packageOf({ name, file }) {
  const [first, ...rest] = file.split("/");
  if (rest.length) return first;
  return IN_NO_FOLDER.test(file) ? "python" : file || name;
}

// Three significant digits, never an exponent, as analysis/words.py writes numbers.
function number(value) {
  if (!value || !Number.isFinite(value)) return String(value || 0);
  const decimals = 2 - Math.floor(Math.log10(Math.abs(value)));
  if (decimals >= 0) return fixed(value, Math.min(100, decimals));
  const step = 10 ** -decimals;
  return (Number(fixed(value / step, 0)) * step).toFixed(0);
}

function percent(share) {
  return `${fixed(100 * share, Math.abs(share) < 0.0995 ? 1 : 0)}%`;
}

// With so many decimals; of two that are equally near the even one, as Python writes it.
function fixed(value, decimals) {
  const text = value.toFixed(decimals);
  const scaled = value * 10 ** decimals;
  // Only what is a half exactly: what is a multiple of a power of two was not rounded to one.
  const half = Math.abs(scaled % 1) === 0.5 && Number.isInteger(value * 2 ** (decimals + 1));
  const odd = Number(text.at(-1)) % 2 === 1;
  return half && odd ? (Math.trunc(scaled) / 10 ** decimals).toFixed(decimals) : text;
}

const signed = (value, write) => (value > 0 ? "+" : value < 0 ? "\u2212" : "") + write(Math.abs(value));
