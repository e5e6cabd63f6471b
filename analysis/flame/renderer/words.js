// What is said of frames: on cards, in sentences for a screen reader, and of a search.

// Two profiles may have one name.
function apart([a, b]) {
  return a === b ? [`${a} (A)`, `${b} (B)`] : [a, b].filter((name) => name !== undefined);
}

class Words {
  constructor({ unit, tree }, sides) {
    this.shares = unit === "share";
    this.unit = unit;
    this.sides = sides;
    this.whole = tree.cost;
    this.two = sides.length > 1;
  }

  write(cost) {
    return this.shares ? percent(cost) : number(cost);
  }

  shared(costs) {
    const whole = this.whole;
    return costs.map((cost, side) => percent(whole[side] ? cost / whole[side] : 0)).join(" \u2192 ");
  }

  // Rare frames are often sampled on one side only, which says little.
  stated({ state, changed }) {
    if (state === "both") return "";
    const [before, after] = this.sides;
    return changed ? state : `seen in ${state === "new" ? after : before} only`;
  }

  // A box as one reads it: names, costs, and whether a difference is more than noise.
  card({ frame, run }) {
    const part = document.createDocumentFragment();
    const { node } = frame;
    const title = element("p", part, { class: "name" });
    element("b", title, {}, run ? `${run.length} frames` : node.name);
    const about = [run ? `${run[0].node.name} \u2026 ${run.at(-1).node.name}` : node.file];
    about.push(this.stated(node));
    element("span", title, {}, ` ${about.filter(Boolean).join(" \u00b7 ")}`);
    this.costs(part, node);
    if (this.two) element("p", part, { class: "noise" }, this.doubted(node));
    return part;
  }

  costs(part, node) {
    const table = element("table", part);
    const head = element("tr", element("thead", table));
    const more = [...(this.two ? ["difference"] : []), ...(this.shares ? [] : ["share"])];
    for (const name of [this.shares ? "share of samples" : this.unit, ...this.sides, ...more]) {
      element("th", head, { scope: "col" }, name);
    }
    const body = element("tbody", table);
    for (const [name, costs] of [["with what it calls", node.cost], ["itself", node.self]]) {
      const row = element("tr", body);
      element("th", row, { scope: "row" }, name);
      for (const cost of costs) element("td", row, {}, this.write(cost));
      if (this.two) element("td", row, {}, signed(costs[1] - costs[0], (each) => this.write(each)));
      if (!this.shares) element("td", row, {}, this.shared(costs));
    }
  }

  doubted({ z, changed }) {
    const told = z === null ? "" : ` (z ${z < 0 ? "\u2212" : ""}${Math.abs(z).toFixed(1)})`;
    return changed ? `The difference is larger than the noise${told}.` : `No difference beyond the noise${told}.`;
  }

  sentence(frame, folded) {
    const { node } = frame;
    const costs = node.cost.map((cost) => this.write(cost)).join(" to ");
    const state = node.state === "both" ? "" : `, ${this.stated(node)}`;
    const one = folded ? `, one of ${frame.run.length} folded frames` : "";
    const calls = frame.children.length ? `, calls ${frame.children.length}` : "";
    const said = `${frame.text}${state}: ${costs} ${this.shares ? "of the samples" : this.unit}${one}${calls}.`;
    return this.two ? `${said} ${this.doubted(node)}` : said;
  }

  // What a search found, and what that costs together.
  counted({ found, cost }) {
    const costs = cost.map((each) => this.write(each)).join(" \u2192 ");
    const said = this.shares ? costs : `${costs} ${this.unit} (${this.shared(cost)})`;
    return `${found.size} ${found.size > 1 ? "frames" : "frame"}, ${said}`;
  }
}
