// The parts around the canvas: controls, legend, and the way to the focus.

const LAST_ON_PATH = 4; // frames of the way to the focus that are named

function element(tag, parent, attributes = {}, text = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  parent?.append(made);
  return made;
}

function searchBox(controls, searched) {
  const label = element("label", controls, { class: "find" });
  element("span", label, { class: "spoken" }, "Find, a regular expression");
  const asked = { type: "search", placeholder: "Find (regular expression)", spellcheck: "false" };
  const box = element("input", label, { ...asked, autocomplete: "off" });
  box.addEventListener("input", searched);
  return box;
}

// Of which side the width is the cost; the first choice is where one begins.
function widthChoice(controls, sides, chosen) {
  const group = element("fieldset", controls, { class: "widths" });
  element("legend", group, {}, "Width");
  const name = `flame-width-${Math.random().toString(36).slice(2)}`; // one group a flamegraph
  const radios = [[LARGER, "the larger"], ...sides.map((side, place) => [place, side])].map(([by, text]) => {
    const label = element("label", group);
    const radio = element("input", label, { type: "radio", name });
    radio.checked = by === LARGER;
    radio.addEventListener("change", () => chosen(by));
    element("span", label, {}, text);
    return radio;
  });
  return radios[0];
}

function foldBox(controls, changed) {
  const label = element("label", controls, { class: "fold" });
  const box = element("input", label, { type: "checkbox" });
  box.checked = true;
  element("span", label, {}, "Fold long chains");
  box.addEventListener("change", () => changed(box.checked));
  return box;
}

// The whole, then the last frames of the way; each is a step back.
function showWay(nav, focus, stepped) {
  const way = [];
  for (let frame = focus; frame; frame = frame.up) way.unshift(frame);
  const last = way.slice(1).slice(-LAST_ON_PATH);
  const list = element("ol", null);
  for (const frame of [way[0], ...last]) {
    if (frame === last[0] && way.length - 1 > last.length) element("li", list, {}, "\u2026");
    const here = frame === focus ? { "aria-current": "true" } : {};
    const button = element("button", element("li", list), { type: "button", ...here }, frame.node.name);
    button.addEventListener("click", () => stepped(frame));
  }
  nav.replaceChildren(list);
}

// Pairs of a class of the style sheet and what its colour means.
function showLegend(list, meanings) {
  list.replaceChildren();
  for (const [kind, text] of meanings) {
    const item = element("li", list);
    element("i", item, { class: kind, "aria-hidden": "true" });
    item.append(text);
  }
}

const meaningsOfChange = (name) => [
  ["less", `${SIGNS.less} ${name} costs less`],
  ["still", "no change beyond the noise"],
  ["more", `${SIGNS.more} ${name} costs more`],
  ["gone", "gone"],
  ["new", "new"],
];

function meaningsOfPackages(packages, whole) {
  const named = packages.slice(0, HUES).filter(([, cost]) => cost > 0);
  const meanings = named.map(([name, cost], place) => [`hue-${place + 1}`, `${name} ${percent(cost / whole)}`]);
  return [...meanings, ["still", "others; shares are of own code"]];
}
