/* Figures that move without a kernel: each `<div class="figure-to-touch" data-figure="NAME">` holds
   a still picture and becomes a figure with sliders and points to drag. Without scripts the still
   stays. No library, no request but for `figures.css` beside this file and small scripts with data
   in `figures/`, which `lib.tools.site.figures` writes from what is recorded.

   First the formulas, which `tests/browser/test_site_figures.py` compares with `lib`; then what all
   figures share; then the six figures. Angles are in radians unless a name says degrees. */
(() => {
"use strict";

const DEGREE = Math.PI / 180;
const HERE = document.currentScript.src;

/* --- formulas: margins on one angle ------------------------------------------------------------ */

const NO_MARGIN = { m1: 1, m2: 0, m3: 0 };

/** cos, continued so that it falls all the way: (−1)^k cos(angle) − 2k from kπ on. */
function psi(angle) {
  const k = Math.floor(angle / Math.PI);
  return (1 - 2 * (k % 2)) * Math.cos(angle) - 2 * k;
}

/** What stands in for the target's cosine: ψ(m1 θ + m2) − m3. */
function targetCosine(theta, { m1, m2, m3 }) {
  return psi(m1 * theta + m2) - m3;
}

/** How fast it falls with the angle, per radian. */
function slope(theta, { m1, m2 }) {
  return m1 * Math.abs(Math.sin(m1 * theta + m2));
}

/** Probability of the target, margin included; all others at one angle. */
function probability(theta, margins, scale, others = 9, otherAngle = Math.PI / 2) {
  const cosines = targetCosine(theta, margins) - Math.cos(otherAngle);
  return 1 / (1 + Math.exp(Math.log(others) - scale * cosines));
}

/* What other code does with θ + m2 beyond π: [target's cosine, its slope]. */
const PAST_PI = {
  "wraps: cos(θ + m)": (t, m) => [Math.cos(t + m), Math.sin(t + m)],
  "drops: cos θ − m sin m": (t, m) => [Math.cos(t) - m * Math.sin(m), Math.sin(t)],
  "−2 − cos(θ + m)": (t, m) => [-2 - Math.cos(t + m), -Math.sin(t + m)],
};

/** From which angle to another class on an image at θ from its own is content; NaN if none is. */
function border(theta, margins) {
  const target = targetCosine(theta, margins);
  return target < -1 ? NaN : Math.acos(Math.min(target, 1));
}

/* --- formulas: several classes in the plane ----------------------------------------------------- */

/** By how much to turn from one direction to another, in [−π, π). */
function turnTo(first, second) {
  const turn = (second - first + Math.PI) % (2 * Math.PI);
  return (turn < 0 ? turn + 2 * Math.PI : turn) - Math.PI;
}

function logSumExp(values) {
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return most + Math.log(values.reduce((total, value) => total + Math.exp(value - most), 0));
}

function softmax(logits) {
  const total = logSumExp(logits);
  return logits.map((logit) => Math.exp(logit - total));
}

/** Logits of an image in a direction, the target's with its margin. */
function logitsOnCircle(image, weights, label, margins, scale) {
  return weights.map((weight, c) => {
    const angle = Math.abs(turnTo(image, weight));
    return scale * (c === label ? targetCosine(angle, margins) : Math.cos(angle));
  });
}

/** −dL / d(direction of the image), per radian; positive is counter-clockwise. */
function pushOnCircle(image, weights, label, margins, scale) {
  const shares = softmax(logitsOnCircle(image, weights, label, margins, scale));
  return weights.reduce((push, weight, c) => {
    const turn = turnTo(image, weight);
    const growth = c === label ? Math.sign(turn) * slope(Math.abs(turn), margins) : Math.sin(turn);
    return push + ((c === label) - shares[c]) * scale * growth;
  }, 0);
}

/** How far one can turn from a class weight, to both sides, and it is still content; or null. */
function contentEdges(own, others, margins) {
  const ahead = (turn) =>
    targetCosine(Math.abs(turn), margins) -
    others.reduce((most, other) => Math.max(most, Math.cos(other - own - turn)), -1);
  if (ahead(0) < -1e-12) return null;
  return [-1, 1].map((side) => {
    let inside = 0, outside = DEGREE / 2;
    while (outside < Math.PI && ahead(side * outside) >= 0) inside = outside, outside += DEGREE / 2;
    for (let i = 0; i < 50; i++) {
      const middle = (inside + outside) / 2;
      if (ahead(side * middle) >= 0) inside = middle;
      else outside = middle;
    }
    return side * inside;
  });
}

/** Weights [x, y] and biases of the classes in the plane, for a loss without a fixed length. */
function planeHead(loss, plane) {
  const free = loss !== "modified softmax"; // lengths and biases as they come
  return plane.directions.map((way, c) => ({
    weight: [Math.cos(way), Math.sin(way)].map((part) => part * (free ? plane.lengths[c] : 1)),
    bias: free ? plane.biases[c] : 0,
  }));
}

const BY_LENGTH = ["softmax", "center loss", "modified softmax"];

/** The loss of an embedding of class 0 in the plane, and −∂L/∂x.
    setting: m1, m2, m3, scale, and the weight λ of center loss. */
function lossAndPush(loss, [x, y], setting, plane) {
  if (!BY_LENGTH.includes(loss)) {
    const image = Math.atan2(y, x), length = Math.hypot(x, y);
    const { directions } = plane;
    const logits = logitsOnCircle(image, directions, 0, setting, setting.scale);
    const along = pushOnCircle(image, directions, 0, setting, setting.scale) / length;
    const push = [-along * Math.sin(image), along * Math.cos(image)];
    return { loss: logSumExp(logits) - logits[0], push };
  }
  const head = planeHead(loss, plane);
  const logits = head.map(({ weight, bias }) => weight[0] * x + weight[1] * y + bias);
  const shares = softmax(logits);
  const push = [0, 1].map((axis) =>
    head.reduce((sum, { weight }, c) => sum + ((c === 0) - shares[c]) * weight[axis], 0));
  const found = { loss: logSumExp(logits) - logits[0], push };
  if (loss !== "center loss") return found;
  const away = [x - plane.centre[0], y - plane.centre[1]];
  return {
    loss: found.loss + (setting.weight / 2) * (away[0] ** 2 + away[1] ** 2),
    push: push.map((part, axis) => part - setting.weight * away[axis]),
  };
}

/** The corners of the region where the loss is content with class 0, inside the plane's rim. */
function region(loss, setting, plane) {
  const arc = (from, to) => Array.from({ length: 241 }, (_, i) => {
    const way = from + ((to - from) * i) / 240;
    return [plane.reach * Math.cos(way), plane.reach * Math.sin(way)];
  });
  if (BY_LENGTH.includes(loss)) {
    const [own, ...others] = planeHead(loss, plane);
    return others.reduce((corners, other) => cut(corners, ([x, y]) =>
      (own.weight[0] - other.weight[0]) * x + (own.weight[1] - other.weight[1]) * y
      + own.bias - other.bias), arc(0, 2 * Math.PI));
  }
  const [own, ...others] = plane.directions;
  const edges = contentEdges(own, others, setting);
  return edges ? [[0, 0], ...arc(own + edges[0], own + edges[1])] : [];
}

/** The part of a convex polygon where a linear function is not negative. */
function cut(corners, height) {
  return corners.flatMap((corner, i) => {
    const next = corners[(i + 1) % corners.length];
    const here = height(corner), there = height(next);
    const kept = here >= 0 ? [corner] : [];
    if (here >= 0 === there >= 0) return kept;
    const share = here / (here - there);
    return [...kept, corner.map((part, axis) => part + share * (next[axis] - part))];
  });
}

/* --- formulas: what fits; as lib.feasibility ----------------------------------------------------- */

const log1pExp = (x) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)));

/** Bounds on the largest possible smallest angle between C directions in D dimensions. */
function largestAngle(C, D) {
  if (C <= D + 1) return [Math.acos(-1 / (C - 1)), Math.acos(-1 / (C - 1))];
  if (D === 2) return [(2 * Math.PI) / C, (2 * Math.PI) / C];
  if (C <= 2 * D) return [Math.PI / 2, Math.PI / 2];
  const alpha = capRadius(1 / C, D);
  return [alpha, Math.min(2 * alpha, Math.PI / 2)];
}

/* Of each dimension the area of caps, up to half of the sphere, in 200,000 steps of the angle. */
const capAreas = new Map();
const CAP_STEPS = 200_000;

/** The angular radius of a cap that covers a share, at most one half, of the sphere. */
function capRadius(share, D) {
  if (!capAreas.has(D)) {
    const areas = new Float64Array(CAP_STEPS + 1);
    for (let i = 1, before = 0 ** (D - 2); i <= CAP_STEPS; i++) {
      const ring = Math.sin((i / CAP_STEPS) * (Math.PI / 2)) ** (D - 2);
      areas[i] = areas[i - 1] + before + ring;
      before = ring;
    }
    capAreas.set(D, areas);
  }
  const areas = capAreas.get(D), goal = 2 * share * areas[CAP_STEPS];
  let low = 0, high = CAP_STEPS;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (areas[middle] <= goal) low = middle;
    else high = middle;
  }
  const step = low + (goal - areas[low]) / (areas[high] - areas[low]);
  return (step / CAP_STEPS) * (Math.PI / 2);
}

/** Whether the best arrangement is known, and which: simplex, circle, cross, or null. */
function arrangement(C, D) {
  if (C <= D + 1) return "simplex";
  if (D === 2) return "circle";
  return D > 1 && C === 2 * D ? "cross" : null;
}

/** ln Σ exp(s (cos − 1)) over the others on a circle of C classes. */
function circleRivals(C, s) {
  const within = (C / (2 * Math.PI)) * Math.min(Math.PI, 15 / Math.sqrt(s)); // beyond: nothing
  // so many that the sum is an integral: fewer, wider apart, and each counted several times
  const count = within > 2000 ? Math.round((C * 2000) / within) : C;
  const step = (2 * Math.PI) / count, nearest = s * (Math.cos(step) - 1);
  let sum = 0;
  for (let k = 1; 2 * k <= count - 1; k++) {
    const term = Math.exp(s * (Math.cos(k * step) - 1) - nearest);
    sum += 2 * term;
    if (term < 1e-19 * sum) break;
  }
  if (count % 2 === 0) sum += Math.exp(-2 * s - nearest);
  if (count === C) return nearest + Math.log(sum);
  return Math.log((C / count) * (1 + sum * Math.exp(nearest)) - 1);
}

/** Cross-entropy on the class weight in the best arrangement, or its bound; the target given. */
function lossOnWeight(C, D, target, s) {
  const kind = arrangement(C, D);
  if (kind === "circle") return log1pExp(circleRivals(C, s) + s * (1 - target));
  if (kind === "cross") return log1pExp(logSumExp([s * (-1 - target), Math.log(C - 2) - s * target]));
  return log1pExp(Math.log(C - 1) + s * (-1 / (C - 1) - target));
}

/** What C classes in D dimensions can reach at a scale and with margins. */
function feasibility(C, D, s, { m2, m3 } = NO_MARGIN) {
  const [low, high] = largestAngle(C, D), target = Math.cos(m2) - m3;
  const needed = target >= -1 ? Math.acos(Math.min(target, 1)) : Infinity;
  return {
    angleLow: low,
    angleHigh: high,
    angleNeeded: needed,
    highestProbability: Math.exp(-lossOnWeight(C, D, 1, s)),
    lossFloor: lossOnWeight(C, D, target, s),
    exact: arrangement(C, D) !== null,
    attainable: needed <= low + 1e-9 ? true : needed <= high + 1e-9 ? null : false,
  };
}

/** The smallest scale that is enough, if every larger one is. */
function bisect(enough) {
  let low = 0, high = 1;
  while (!enough(high)) high *= 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (enough(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** The scale from which on every class can reach P; CosFace's eq. 6 where D is null. */
function smallestScale(P, C, D = null) {
  const kind = D === null ? null : arrangement(C, D);
  if (kind === null || kind === "simplex")
    return ((C - 1) / C) * Math.log(((C - 1) * P) / (1 - P));
  return bisect((s) => Math.exp(-lossOnWeight(C, D, 1, s)) >= P);
}

/** ln Γ(D / 2) */
function logGammaOfHalf(D) {
  let total = D % 2 ? Math.log(Math.PI) / 2 : 0;
  for (let part = D % 2 ? 0.5 : 1; part < D / 2; part++) total += Math.log(part);
  return total;
}

/** ln E exp(s (u − 1)), u the cosine of two random directions. */
function logMeanExp(s, D) {
  const half = D / 2;
  if (s > 1000) {
    const order = half - 1, root = Math.hypot(order, s);
    return logGammaOfHalf(D) + order * Math.log(2 / (order + root)) + order ** 2 / (root + s)
      - Math.log(2 * Math.PI * root) / 2 + Math.log1p((3 - 5 * (order / root) ** 2) / (24 * root));
  }
  const terms = [0], count = Math.floor(2 * s) + 50;
  for (let k = 1; k < count; k++)
    terms.push(terms[k - 1] + 2 * Math.log(s / 2) - Math.log(k) - Math.log(k - 1 + half));
  return logSumExp(terms) - s;
}

/** The scale at which classes in random directions reach P, on their class weight. */
function randomScale(P, C, D) {
  const goal = Math.log((1 - P) / P) - Math.log(C - 1);
  return bisect((s) => logMeanExp(s, D) <= goal);
}

/** The probability that classes in random directions reach at a scale. */
function randomProbability(C, D, s) {
  return 1 / (1 + Math.exp(Math.log(C - 1) + logMeanExp(s, D)));
}

/** The largest m3 of CosFace and m2 of ArcFace that fit: for each [surely, at most].
    An m2 beyond a right angle is none: lib refuses it. */
function largestMargins(C, D) {
  const angles = largestAngle(C, D);
  return { m3: angles.map((angle) => 1 - Math.cos(angle)), m2: angles.map((angle) => Math.min(angle, Math.PI / 2)) };
}

/* --- formulas: rates of pairs --------------------------------------------------------------------- */

/** FAR and TAR at a threshold that is a whole number of steps; counts as in `scores_….js`. */
function rates(counts, step) {
  const place = Math.min(Math.max(step - counts.first, 0), counts.genuine.length - 1);
  const share = (accepted) => accepted[place] / accepted[0];
  return { far: share(counts.impostor), tar: share(counts.genuine) };
}

const formulas = {
  psi, targetCosine, slope, probability, PAST_PI, border, turnTo, softmax, logitsOnCircle,
  pushOnCircle, contentEdges, lossAndPush, region, largestAngle, feasibility, smallestScale,
  randomScale, randomProbability, largestMargins, rates,
};

/* --- what all figures share: elements, numbers, controls ------------------------------------------ */

const say = (value, digits = 2) => {
  const text = value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "");
  return text.replace("-", "−");
};
const whole = (value) => Math.round(value).toLocaleString("en");
const degrees = (angle, digits = 0) => `${say(angle / DEGREE, digits)}°`;
const spread = (from, to, count) =>
  Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
let ids = 0;

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function html(parent, tag, attributes = {}, text = "") {
  const element = set(document.createElement(tag), attributes);
  element.textContent = text;
  parent?.append(element);
  return element;
}

function svg(parent, tag, attributes = {}, text = "") {
  const element = set(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes);
  element.textContent = text;
  parent?.append(element);
  return element;
}

const path = (points) => points.map(([x, y]) => `${x.toFixed(2)},${y.toFixed(2)}`).join("L");
const line = (points) => (points.length ? `M${path(points)}` : "");
const area = (points) => (points.length ? `M${path(points)}Z` : "");

/** A line's colour as a variable, which the style lightens in the dark, and its dash. */
function ink({ color, dash = [] }, width = 2.5) {
  return {
    style: `--c:${color}`,
    "stroke-width": width,
    "stroke-dasharray": dash.map((part) => part * width).join(" ") || "none",
  };
}

/** The frame of a figure: title, panels, a line that says what is seen, controls. */
class Frame {
  constructor(host, title) {
    this.box = html(null, "section", { class: "ftt", role: "group" });
    this.title = html(this.box, "p", { class: "ftt-title", id: `ftt-${++ids}` }, title);
    this.box.setAttribute("aria-labelledby", this.title.id);
    this.panels = html(this.box, "div", { class: "ftt-panels" });
    this.says = html(this.box, "p", { class: "ftt-says", "aria-live": "polite", "aria-atomic": "true" });
    this.controls = html(this.box, "div", { class: "ftt-controls" });
    for (const part of host.children) part.hidden = true;
    host.append(this.box);
  }

  /** The live text. A screen reader hears it once a movement has come to rest. */
  say(text) {
    this.says.setAttribute("aria-busy", "true");
    this.says.textContent = text;
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.says.removeAttribute("aria-busy"), 600);
  }

  panel() {
    return html(this.panels, "div", { class: "ftt-panel" });
  }
}

/** A slider with its name, unit and value. `show` makes the value a text. */
function slider(frame, { label, unit = "", min, max, step = 1, value, show }, change) {
  const row = html(frame.controls, "label", { class: "ftt-slider" });
  const name = html(row, "span", {}, label);
  if (unit) html(name, "small", {}, ` ${unit}`);
  const shown = html(row, "b", { "aria-hidden": "true" }); // the slider itself tells its value
  const input = html(row, "input", { type: "range", min, max, step });
  const digits = (String(step).split(".")[1] ?? "").length;
  const write = show ?? ((number) => say(number, digits));
  const refresh = () => {
    shown.textContent = write(Number(input.value));
    input.setAttribute("aria-valuetext", `${shown.textContent} ${unit}`.trim());
  };
  input.value = value;
  refresh();
  input.addEventListener("input", () => { refresh(); change(); });
  return {
    row,
    get value() { return Number(input.value); },
    set value(number) { input.value = number; refresh(); },
  };
}

/** A drop-down list. */
function choice(frame, label, options, value, change) {
  const row = html(frame.controls, "label", { class: "ftt-choice" });
  html(row, "span", {}, label);
  const list = html(row, "select");
  for (const option of options) html(list, "option", { value: option }, option);
  list.value = value;
  list.addEventListener("change", change);
  return list;
}

/** A box to tick. */
function tick(frame, label, change) {
  const row = html(frame.controls, "label", { class: "ftt-tick" });
  const box = html(row, "input", { type: "checkbox" });
  html(row, "span", {}, label);
  box.addEventListener("change", change);
  return box;
}

/** What the lines of a panel mean: [name, line as for `ink`] each. */
function key(panel, entries) {
  const list = html(panel, "ul", { class: "ftt-key" });
  for (const [name, look, width = 2.5] of entries) {
    const entry = html(list, "li");
    const sample = svg(entry, "svg", { viewBox: "0 0 30 8", width: 30, height: 8, "aria-hidden": "true" });
    svg(sample, "path", { d: "M0,4H30", class: "ftt-line", ...ink(look, width) });
    html(entry, "span", {}, name);
  }
  return list;
}

/** A picture whose own units stay the same however wide it is shown. */
function picture(panel, width, height, description) {
  return svg(panel, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": description });
}

/** Where a pointer is, in the units of a picture. */
function place(image, event) {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(image.getScreenCTM().inverse());
  return [x, y];
}

/** A point to drag, or to move with the arrow keys.
    drag(x, y) in the units of the picture; nudge(dx, dy) in steps; range: of the number that it tells. */
function handle(image, { label, drag, nudge, range, radius = 9, look = "" }) {
  const group = svg(image, "g", {
    class: `ftt-handle ${look}`, tabindex: 0, role: "slider", "aria-label": label,
    "aria-roledescription": "point to move", "aria-valuemin": range[0], "aria-valuemax": range[1],
  });
  group.ownerSVGElement.setAttribute("role", "group"); // else nobody looks for it in there
  svg(group, "circle", { r: 24, class: "ftt-reach" });
  svg(group, "circle", { r: radius, class: "ftt-dot" });
  group.addEventListener("pointerdown", (event) => {
    group.setPointerCapture(event.pointerId);
    group.focus({ preventScroll: true });
    event.preventDefault();
  });
  // what touch-action says of a part of an SVG is not heard everywhere: a finger on it scrolls nothing
  group.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  group.addEventListener("pointermove", (event) => {
    if (group.hasPointerCapture(event.pointerId)) drag(...place(image, event));
  });
  group.addEventListener("keydown", (event) => {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    nudge(...way.map((part) => part * (event.shiftKey ? 10 : 1)));
  });
  return {
    group,
    move(x, y, now, text) {
      set(group, { transform: `translate(${x.toFixed(2)} ${y.toFixed(2)})`,
                   "aria-valuenow": now.toFixed(3), "aria-valuetext": text });
    },
  };
}

/** Numbers that change over a quarter of a second, at once for who wants no motion. */
function glide(from, to, draw) {
  if (calm() || from.length !== to.length) return draw(to);
  const start = performance.now(), run = (draw.run = {});
  const step = (now) => {
    if (draw.run !== run) return;
    const share = clamp((now - start) / 250, 0, 1), eased = share * share * (3 - 2 * share);
    draw(to.map((value, i) => from[i] + eased * (value - from[i])));
    if (share < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

/** A pair of axes with lines in it. */
class Chart {
  constructor(panel, { x, y, xTicks, yTicks, xLabel, yLabel, xText = String, yText = String, log = false,
                       width = 340, height = 250, left = 44, description }) {
    Object.assign(this, { x, y, log, width, height, left, yText });
    this.right = width - 14;
    this.top = 28;
    this.bottom = height - 40;
    this.image = picture(panel, width, height, description ?? `${yLabel} against ${xLabel}`);
    this.grid = svg(this.image, "g", { class: "ftt-axis", "aria-hidden": "true" });
    for (const value of xTicks) {
      svg(this.grid, "path", { d: `M${this.X(value)},${this.bottom}v5`, class: "ftt-tick" });
      const side = value === xTicks.at(-1) && this.X(value) > this.right - 8 ? "end" : "middle";
      svg(this.grid, "text", { x: this.X(value) + (side === "end" ? 8 : 0), y: this.bottom + 19, "text-anchor": side }, xText(value));
    }
    svg(this.grid, "text", { x: (this.left + this.right) / 2, y: height - 4, "text-anchor": "middle" }, xLabel);
    svg(this.grid, "text", { x: 2, y: 13, class: "ftt-ylabel" }, yLabel);
    this.levels = svg(this.grid, "g");
    this.clip = `ftt-clip-${++ids}`;
    const clip = svg(svg(this.image, "defs"), "clipPath", { id: this.clip });
    svg(clip, "rect", { x: this.left, y: this.top - 4, width: this.right - this.left, height: this.bottom - this.top + 8 });
    this.plot = svg(this.image, "g", { "clip-path": `url(#${this.clip})`, "aria-hidden": "true" });
    this.over = svg(this.image, "g");
    this.range(y, yTicks);
  }

  X(value) {
    return this.left + ((value - this.x[0]) / (this.x[1] - this.x[0])) * (this.right - this.left);
  }

  Y(value) {
    const of = this.log ? (v) => Math.log(Math.max(v, this.y[0] / 1e3)) : (v) => v;
    const share = (of(value) - of(this.y[0])) / (of(this.y[1]) - of(this.y[0]));
    return this.bottom - share * (this.bottom - this.top);
  }

  /** The value on the axis of x at a place in the picture. */
  value(x) {
    return this.x[0] + ((x - this.left) / (this.right - this.left)) * (this.x[1] - this.x[0]);
  }

  range(y, ticks) {
    this.y = y;
    this.levels.replaceChildren();
    for (const value of ticks) {
      svg(this.levels, "path", { d: `M${this.left},${this.Y(value).toFixed(1)}H${this.right}`, class: "ftt-grid" });
      svg(this.levels, "text", { x: this.left - 6, y: this.Y(value) + 5, "text-anchor": "end" }, this.yText(value));
    }
  }

  add(look, width = 2.5) {
    return svg(this.plot, "path", { class: "ftt-line", ...ink(look, width) });
  }

  fill(look) {
    return svg(this.plot, "path", { class: "ftt-area", style: `--c:${look.color}` });
  }

  points(xs, ys) {
    return xs.map((x, i) => [this.X(x), this.Y(ys[i])]);
  }

  draw(element, xs, ys) {
    element.setAttribute("d", line(this.points(xs, ys)));
  }

  /** An upright line from the bottom to the top. */
  stand(element, x) {
    return set(element, { d: `M${this.X(x).toFixed(2)},${this.top}V${this.bottom}` });
  }

  /** Fill between a curve and the bottom. */
  shade(element, xs, ys) {
    const points = this.points(xs, ys);
    if (points.length) points.push([points.at(-1)[0], this.bottom], [points[0][0], this.bottom]);
    element.setAttribute("d", area(points));
  }
}

const FAINT = { color: "var(--ftt-faint)" };
const INK = { color: "var(--ftt-ink)" };

/** "−1, −0.5, …": round numbers between two ends, about as many as asked for. */
function ticksBetween(low, high, count = 4) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((part) => part * power >= raw);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++)
    found.push(Number((k * step).toPrecision(12)));
  return found;
}

const minus = (value) => String(value).replace("-", "−");

/** Sliders for the margins of a loss, those of `fields` in the data. */
function marginSliders(frame, course, loss, options, change) {
  const found = {};
  for (const [margin, [label, value]] of Object.entries(course.fields[loss] ?? {})) {
    const [unit, min, max, step] = course.sliders[margin];
    const start = Number(options[margin] ?? value);
    const name = label.replace(/\d/, (digit) => "₀₁₂₃"[digit]);
    found[margin] = slider(frame, { label: name, unit, min, max, step, value: start }, change);
  }
  return found;
}

const values = (sliders) =>
  Object.fromEntries(Object.entries(sliders).map(([name, { value }]) => [name, value]));

/* --- 1 · explorer: what a margin does to the target ------------------------------------------------ */

const OWN_SETTING = "your own";
const RULE_LOOKS = [[4, [5, 2]], [2, [2, 2]], [3, [8, 2, 1, 2]]]; // the colour of which class, and the dash

function explorer(host, options, { course }) {
  const frame = new Frame(host, "With a margin, an image counts as if it lay farther from its class");
  const thetas = spread(0, Math.PI, 361), inDegrees = spread(0, 180, 361);
  const axis = {
    x: [0, 180], xTicks: [0, 45, 90, 135, 180], xText: (v) => `${v}°`, xLabel: "angle θ to the own class",
    width: 256, height: 240, left: 38,
  };
  frame.box.classList.add("three");
  const [left, middle, right] = [0, 1, 2].map(() => frame.panel());
  const logit = new Chart(left, { ...axis, y: [-1, 1], yTicks: [], yText: minus, yLabel: "logit of the own class" });
  const slopes = new Chart(middle, { ...axis, y: [0, 1], yTicks: [], yText: minus, yLabel: "fall of its cosine, per radian" });
  const chance = new Chart(right, { ...axis, y: [0, 1], yTicks: [0, 0.5, 1], yLabel: "probability of the own class" });
  const charts = [logit, slopes, chance];
  const change = () => update();
  const preset = choice(frame, "preset", [...Object.keys(course.presets), OWN_SETTING], options.preset ?? "ArcFace, m 0.5", take);
  const start = course.presets[preset.value];
  const controls = {
    m1: slider(frame, { label: "m₁", unit: "factor", min: 0.5, max: 4, step: 0.05, value: start[0] }, change),
    m2: slider(frame, { label: "m₂", unit: "radians", min: 0, max: 1.57, step: 0.01, value: start[1] }, change),
    m3: slider(frame, { label: "m₃", unit: "cosine", min: 0, max: 1, step: 0.01, value: start[2] }, change),
    s: slider(frame, { label: "scale s", min: 1, max: 128, value: start[3] }, change),
    angle: slider(frame, { label: "angle θ", unit: "degrees", min: 0, max: 180, value: halfWay(start) }, change),
  };
  const compare = tick(frame, "all losses beside it", change);
  const elsewhere = tick(frame, "other code, where θ + m₂ > π", change);
  // behind the curves, what is compared; before them, the angle
  const compared = course.compared.map((name) => {
    const look = course.losses[lossIn(name, course)];
    return { name, look, lines: charts.map((chart) => chart.add(look, 1.5)) };
  });
  const rules = Object.keys(PAST_PI).map((name, i) => {
    const look = { color: course.classes[RULE_LOOKS[i][0]].color, dash: RULE_LOOKS[i][1] };
    return { name, look, lines: [logit, slopes].map((chart) => chart.add(look, 2)) };
  });
  const plain = charts.map((chart) => chart.add(INK, 1));
  const curves = charts.map((chart) => chart.add(INK, 3));
  const cursors = charts.map((chart) => svg(chart.plot, "path", { class: "ftt-cursor" }));
  const across = svg(logit.plot, "path", { class: "ftt-cursor" });
  const twin = svg(logit.plot, "circle", { r: 4.5, class: "ftt-ring" });
  const part = [svg(chance.over, "text", { class: "ftt-word" }), svg(chance.over, "text", { class: "ftt-word" })];
  const dots = [slopes, chance].map((chart) => svg(chart.plot, "circle", { r: 5.5, class: "ftt-dot" }));
  const point = handle(logit.over, {
    label: "angle of the image to its own class", range: [0, 180],
    drag: (x) => turn(logit.value(x)), nudge: (dx, dy) => turn(controls.angle.value + dx - dy),
  });
  const keys = html(frame.panels, "div", { class: "ftt-wide" });

  function turn(angle) {
    controls.angle.value = clamp(Math.round(angle), 0, 180);
    update();
  }

  function take() {
    const setting = course.presets[preset.value];
    if (setting) ["m1", "m2", "m3", "s"].forEach((name, i) => { controls[name].value = setting[i]; });
    update();
  }

  function update() {
    const { m1, m2, m3, s, angle } = values(controls), margins = { m1, m2, m3 };
    const known = course.presets[preset.value];
    if (known && [m1, m2, m3, s].some((value, i) => Math.abs(value - known[i]) > 1e-9)) preset.value = OWN_SETTING;
    const look = lookOf(margins);
    const shapes = (of, scale) => [
      thetas.map((theta) => scale * targetCosine(theta, of)), thetas.map((theta) => slope(theta, of)),
      thetas.map((theta) => probability(theta, of, scale)),
    ];
    fit(margins, s);
    draw(curves, shapes(margins, s), ink(look, 3));
    draw(plain, shapes(NO_MARGIN, s), ink(INK, 1));
    for (const { name, lines } of compared)
      draw(lines, compare.checked ? shapes(asMargins(course.presets[name]), s) : []);
    for (const { name, lines } of rules) drawElsewhere(lines, PAST_PI[name], margins, s);
    mark(margins, s, angle);
    explain(margins, s, angle);
    relabel(look);
  }

  function draw(lines, shapes, look = {}) {
    lines.forEach((element, i) => {
      set(element, look);
      if (shapes[i]) charts[i].draw(element, inDegrees, shapes[i]);
      else element.setAttribute("d", "");
    });
  }

  function drawElsewhere(lines, rule, { m1, m2, m3 }, s) {
    const beyond = elsewhere.checked && m1 === 1 ? thetas.filter((theta) => theta + m2 > Math.PI) : [];
    const found = beyond.map((theta) => rule(theta, m2)), at = beyond.map((theta) => theta / DEGREE);
    logit.draw(lines[0], at, found.map(([cosine]) => s * (cosine - m3)));
    slopes.draw(lines[1], at, found.map(([, falls]) => falls));
  }

  function fit(margins, s) {
    const shown = compare.checked ? -3.2 : elsewhere.checked ? -2 : -1;
    const lowest = s * (Math.min(targetCosine(Math.PI, margins), shown) - 0.1);
    logit.range([lowest, 1.12 * s], ticksBetween(lowest, s));
    const steepest = 1.1 * Math.max(1, margins.m1, compare.checked ? 2 : 0);
    const least = elsewhere.checked ? -1.1 : 0;
    slopes.range([least, steepest], ticksBetween(least, steepest));
  }

  function mark(margins, s, angle) {
    const theta = angle * DEGREE, target = targetCosine(theta, margins), p = probability(theta, margins, s);
    const at = [s * target, slope(theta, margins), p];
    cursors.forEach((element, i) => charts[i].stand(element, angle));
    dots.forEach((dot, i) => set(dot, { cx: charts[i + 1].X(angle), cy: charts[i + 1].Y(at[i + 1]) }));
    point.move(logit.X(angle), logit.Y(at[0]), angle, `${angle} degrees`);
    const counts = border(theta, margins) / DEGREE, seen = Number.isFinite(counts);
    set(across, { d: seen ? `M${logit.X(angle)},${logit.Y(at[0])}H${logit.X(counts)}` : "" });
    set(twin, { cx: seen ? logit.X(counts) : -99, cy: logit.Y(at[0]) });
    const side = angle > 105 ? { dx: -9, "text-anchor": "end" } : { dx: 9, "text-anchor": "start" };
    set(part[0], { x: chance.X(angle), y: chance.Y(p / 2) + 5, ...side }).textContent = p > 0.13 ? `p = ${say(p)}` : "";
    set(part[1], { x: chance.X(angle), y: chance.Y((1 + p) / 2) + 5, ...side }).textContent =
      p < 0.87 ? `pull 1 − p = ${say(1 - p)}` : "";
  }

  function explain(margins, s, angle) {
    const theta = angle * DEGREE, counts = border(theta, margins);
    const p = say(probability(theta, margins, s)), without = say(probability(theta, NO_MARGIN, s));
    const bonus = margins.m2 < (1 - margins.m1) * Math.PI - 1e-12;
    const as = Number.isNaN(counts) ? "below anything without a margin" : `as one at ${degrees(counts)} without a margin`;
    const chances = p === without ? `${p} either way` : `${p}, not ${without}`;
    frame.say(`At ${angle}° the image counts ${as}: its probability is ${chances}, and the pull on its logit ` +
      `${say(1 - p)}.${bonus ? " Part of this margin is a bonus, which lib refuses." : ""}`);
  }

  function lookOf({ m1, m2, m3 }) {
    const loss = m1 !== 1 ? (m2 || m3 ? "combined" : "SphereFace") : m2 ? (m3 ? "combined" : "ArcFace") : m3 ? "CosFace" : "NormFace";
    return { ...course.losses[loss], dash: [] };
  }

  function relabel(look) {
    const entries = [["with this margin", look, 3], ["without a margin", INK, 1]];
    if (compare.checked) entries.push(...compared.map(({ name, look: of }) => [name, of, 1.5]));
    if (elsewhere.checked) entries.push(...rules.map(({ name, look: of }) => [name, of, 2]));
    keys.replaceChildren();
    key(keys, entries);
  }

  update();
}

const asMargins = ([m1, m2, m3]) => ({ m1, m2, m3 });

/** The first whole degree at which the target's probability is a half or less. */
function halfWay([m1, m2, m3, s]) {
  return spread(0, 180, 181).find((angle) => probability(angle * DEGREE, { m1, m2, m3 }, s) <= 0.5) ?? 90;
}

const lossIn = (name, course) => Object.keys(course.losses).find((loss) => name.startsWith(loss));

/* --- 2 · field: where a loss pushes an embedding ---------------------------------------------------- */

const FIELD_TITLES = {
  "softmax": "Softmax pushes away from the rivals, and less and less inside its region",
  "center loss": "Center loss adds a spring to the centre of the class",
  "modified softmax": "Modified softmax pushes by angle, and outwards besides",
  "NormFace": "NormFace pushes around the circle only",
  "SphereFace": "SphereFace multiplies the angle: the region shrinks, the push grows",
  "CosFace": "CosFace moves the border in by a difference of cosines",
  "ArcFace": "ArcFace moves the border in by an angle, and pushes on inside",
  "combined": "Combined margins move the border in by all three at once",
};

function field(host, options, { course }) {
  const frame = new Frame(host, "");
  const { plane } = course, unit = 17, middle = 190;
  const across = (x) => middle + unit * x, up = (y) => middle - unit * y;
  const at = ([x, y]) => [across(x), up(y)];
  const left = frame.panel(), right = frame.panel();
  const image = picture(left, 2 * middle, 2 * middle, "the plane of embeddings, with the push on each");
  svg(image, "circle", { cx: middle, cy: middle, r: unit * plane.reach, class: "ftt-rim" });
  const filled = svg(image, "path", { class: "ftt-area" });
  const edge = svg(image, "path", { class: "ftt-line" });
  const without = svg(image, "path", { class: "ftt-cursor" });
  const arrows = svg(image, "path", { class: "ftt-arrows" });
  plane.directions.forEach((way, c) => {
    const ends = [plane.reach - 0.4, plane.reach + 0.9].map((r) => at([r * Math.cos(way), r * Math.sin(way)]));
    svg(image, "path", { class: `ftt-weight${c ? "" : " own"}`, d: arrow(ends[0], ends[1], 2.5) });
  });
  svg(image, "text", { x: across(0.7), y: up(10.1), class: "ftt-word" }, "own class");
  const centre = svg(image, "path", { class: "ftt-cross" });
  const [cx, cy] = at(plane.centre);
  set(centre, { d: `M${cx - 6},${cy - 6}l12,12m0,-12l-12,12` });
  const unitArrow = svg(image, "path", { class: "ftt-push", d: arrow([8, 366], [8 + 2 * plane.arrow * unit, 366], 2) });
  const unitText = svg(image, "text", { x: 8, y: 356, class: "ftt-word" });
  const push = svg(image, "path", { class: "ftt-push" });
  const dot = handle(image, {
    label: "the sample, an embedding of the class at the top", range: [-180, 180],
    drag: (x, y) => put((x - middle) / unit, (middle - y) / unit),
    nudge: (dx, dy) => put(sample()[0] + dx / 5, sample()[1] + dy / 5),
  });
  const turns = plane.directions.map((way) => Math.round(turnTo(Math.PI / 2, way) / DEGREE)).sort((a, b) => a - b);
  const chart = new Chart(right, {
    x: [-180, 180], y: [-1, 2], xTicks: turns, yTicks: [], xText: (v) => `${minus(v)}°`, yText: minus, height: 290,
    xLabel: "angle from the own class weight (0°)", yLabel: "push on embeddings of this length",
  });
  for (const turn of turns) chart.stand(svg(chart.plot, "path", { class: "ftt-grid" }), turn);
  const plain = chart.add(FAINT, 1.5), outward = chart.add(INK, 2), towards = chart.add(INK, 3);
  const marker = svg(chart.plot, "circle", { r: 6, class: "ftt-dot" });
  const keys = html(right, "div");
  const list = choice(frame, "loss", Object.keys(course.fields), options.loss ?? "ArcFace", () => changeLoss());
  const angle = slider(frame, { label: "sample’s angle", unit: "degrees", min: -180, max: 180, value: options.angle ?? 40 }, () => update());
  const length = slider(frame, { label: "sample’s length", min: 0.5, max: 9.5, step: 0.1, value: options.length ?? 6.5 }, () => update());
  let sliders = {}, shown = [];

  const sample = () => polar(angle.value, length.value);
  const polar = (turn, r) => [-r * Math.sin(turn * DEGREE), r * Math.cos(turn * DEGREE)];

  function put(x, y) {
    angle.value = Math.round(Math.atan2(-x, y) / DEGREE);
    length.value = clamp(Math.hypot(x, y), 0.5, 9.5);
    update();
  }

  function changeLoss() {
    for (const { row } of Object.values(sliders)) row.remove();
    const loss = list.value;
    sliders = marginSliders(frame, course, loss, {}, () => update());
    if (course.fields[loss]) sliders.scale = slider(frame, { label: "scale s", min: 1, max: 32, value: plane.scale }, () => update());
    if (loss === "center loss") {
      const look = { label: "λ", unit: "weight of the spring", min: 0, max: 0.5, step: 0.01, value: plane.weight };
      sliders.weight = slider(frame, look, () => update());
    }
    frame.controls.prepend(list.parentElement, ...Object.values(sliders).map(({ row }) => row));
    frame.title.textContent = FIELD_TITLES[loss];
    centre.style.display = loss === "center loss" ? "" : "none";
    frame.box.style.setProperty("--loss", course.losses[loss].color);
    const look = { color: course.losses[loss].color };
    for (const element of [filled, edge, towards, outward]) element.style.setProperty("--c", look.color);
    const entries = [["towards its class", look, 3], ["outward", { ...look, dash: [3, 2] }, 2]];
    if (hasMargin()) entries.push([loss === "center loss" ? "towards, λ = 0" : "towards, no margin", FAINT, 1.5]);
    keys.replaceChildren();
    key(keys, entries);
    set(outward, { "stroke-dasharray": "6 4" });
    update(true);
  }

  const hasMargin = () => list.value === "center loss" || Object.keys(course.fields[list.value] ?? {}).length > 0;

  function setting(plainly = false) {
    const found = { ...NO_MARGIN, scale: plane.scale, weight: plane.weight, ...values(sliders) };
    return plainly ? { ...found, ...NO_MARGIN, weight: 0 } : found;
  }

  function update(gliding = false) {
    const loss = list.value, now = setting();
    const perUnit = course.fields[loss] ? now.scale / plane.scale : 1;
    const pushes = plane.points.flatMap((point) => lossAndPush(loss, point, now, plane).push.map((part) => part / perUnit));
    if (gliding) glide(shown.length ? shown : pushes, pushes, drawArrows);
    else drawArrows.run = null, drawArrows(pushes);
    set(filled, { d: area(region(loss, now, plane).map(at)) });
    set(edge, { d: filled.getAttribute("d"), "stroke-width": 1.8 });
    set(without, { d: course.fields[loss] ? area(region(loss, setting(true), plane).map(at)) : "" });
    unitText.textContent = `a push of ${say(2 * perUnit, perUnit === Math.round(perUnit) ? 0 : 2)}`;
    moveSample(loss, now, perUnit);
  }

  function drawArrows(pushes) {
    shown = pushes;
    set(arrows, { d: plane.points.map((point, i) => {
      const tip = [0, 1].map((axis) => point[axis] + plane.arrow * pushes[2 * i + axis]);
      return arrow(at(point), at(tip), 1.5);
    }).join("") });
  }

  function moveSample(loss, now, perUnit) {
    const here = sample(), found = lossAndPush(loss, here, now, plane);
    const tip = [0, 1].map((axis) => here[axis] + (plane.arrow * found.push[axis]) / perUnit);
    set(push, { d: arrow(at(here), at(tip), 2.4) });
    const around = spread(-179, 179, 180).map((turn) => turn + 0.5); // never on a class weight
    const parts = (of) => around.map((turn) => split(lossAndPush(loss, polar(turn, length.value), of, plane).push, turn));
    const own = parts(now), other = hasMargin() ? parts(setting(true)) : [];
    const all = [...own.flat(), ...other.map(([along]) => along)];
    const low = Math.min(-0.3, 1.1 * Math.min(...all)), high = Math.max(1.5, 1.1 * Math.max(...all));
    chart.range([low, high], ticksBetween(low, high));
    chart.draw(towards, around, own.map(([along]) => along));
    chart.draw(outward, around, own.map(([, out]) => out));
    chart.draw(plain, around.slice(0, other.length), other.map(([along]) => along));
    const [along, out] = split(found.push, angle.value || 0.5);
    set(marker, { cx: chart.X(angle.value), cy: chart.Y(along) });
    dot.move(...at(here), angle.value, `${angle.value} degrees from its class weight, length ${say(length.value, 1)}`);
    frame.say(`At ${minus(angle.value)}° and length ${say(length.value, 1)} the loss of ${loss} is ${say(found.loss)}. ` +
      `It pushes ${say(along)} towards the class and ${say(out)} outward.`);
  }

  /** A push as [towards the own class weight, outward], for an embedding so many degrees from it. */
  function split([x, y], turn) {
    const angle = turn * DEGREE;
    return [Math.sign(turn) * (x * Math.cos(angle) + y * Math.sin(angle)), -x * Math.sin(angle) + y * Math.cos(angle)];
  }

  changeLoss();
}

/** An arrow as one outline, its shaft so wide; a short one is all head. */
function arrow([x1, y1], [x2, y2], width) {
  const length = Math.hypot(x2 - x1, y2 - y1);
  if (length < 0.3) return "";
  const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
  const head = Math.min(4.5 * width, length), half = (head / 4.5) * 2, thin = Math.min(width / 2, half / 3);
  const point = (along, aside) => [x1 + along * ux - aside * uy, y1 + along * uy + aside * ux];
  const neck = length - head;
  return area([point(0, thin), point(neck, thin), point(neck, half), point(length, 0), point(neck, -half),
               point(neck, -thin), point(0, -thin)]);
}

/* --- 3 · circle: an image between class weights ----------------------------------------------------- */

const TURN = 40 * DEGREE; // how far the arrow of a push of s per radian goes around the circle

function circle(host, options, { course }) {
  const frame = new Frame(host, "Turn the image, or a class weight, and see what the loss makes of it");
  const middle = 190, radius = 133;
  const at = (way, r = 1) => [middle + radius * r * Math.cos(way), middle - radius * r * Math.sin(way)];
  const arc = (from, to, r) => spread(from, to, 61).map((way) => at(way, r));
  const left = frame.panel(), right = frame.panel();
  const image = picture(left, 2 * middle, 2 * middle, "the circle of directions");
  const regions = svg(image, "g"), borders = svg(image, "path", { class: "ftt-cursor" });
  svg(image, "circle", { cx: middle, cy: middle, r: radius, class: "ftt-rim" });
  const opening = svg(image, "path", { class: "ftt-theta" }), ray = svg(image, "path", { class: "ftt-cursor" });
  const theta = svg(image, "text", { class: "ftt-word", "text-anchor": "middle" });
  const push = svg(image, "path", { class: "ftt-turn" });
  const shafts = svg(image, "g"), holders = svg(image, "g");
  const table = scoreTable(right);
  const dot = handle(image, {
    label: "the image, of class 0", look: "image", range: [0, 360],
    drag: (x, y) => turnImage(Math.atan2(middle - y, x - middle)),
    nudge: (dx, dy) => turnImage(direction + (dx - dy) * -DEGREE),
  });
  const losses = ["NormFace", "SphereFace", "CosFace", "ArcFace", "combined"];
  const list = choice(frame, "loss", losses, options.loss ?? "NormFace", () => changeLoss());
  const scale = slider(frame, { label: "scale s", min: 1, max: 64, value: options.scale ?? 16 }, () => update());
  const count = slider(frame, { label: "classes", min: 2, max: 10, value: options.classes ?? 5 }, () => changeClasses());
  let direction = Number(options.angle ?? 40) * DEGREE, weights = [], points = [], sliders = {};

  function turnImage(way) {
    direction = way;
    update();
  }

  function changeLoss(margins = {}) {
    for (const { row } of Object.values(sliders)) row.remove();
    sliders = marginSliders(frame, course, list.value, margins, () => update());
    frame.controls.prepend(list.parentElement, ...Object.values(sliders).map(({ row }) => row));
    update();
  }

  function changeClasses() {
    weights = spread(0, 2 * Math.PI, count.value + 1).slice(0, -1);
    holders.replaceChildren();
    points = weights.map((_, c) => {
      const point = handle(holders, {
        label: `class weight ${c}`, radius: 12, look: "weight", range: [0, 360],
        drag: (x, y) => turnWeight(c, Math.atan2(middle - y, x - middle)),
        nudge: (dx, dy) => turnWeight(c, weights[c] + (dx - dy) * -DEGREE),
      });
      point.group.style.setProperty("--c", course.classes[c].color);
      svg(point.group, "text", { y: 5, "text-anchor": "middle" }, c);
      return point;
    });
    update();
  }

  function turnWeight(c, way) {
    weights[c] = way;
    update();
  }

  function update() {
    if (!points.length) return;
    const margins = { ...NO_MARGIN, ...values(sliders) }, s = scale.value;
    const logits = logitsOnCircle(direction, weights, 0, margins, s), shares = softmax(logits);
    const turning = pushOnCircle(direction, weights, 0, margins, s);
    drawRegions(margins);
    points.forEach((point, c) => point.move(...at(weights[c], 1.16), degreesOf(weights[c]), `${degreesOf(weights[c])} degrees`));
    shafts.replaceChildren();
    weights.forEach((way, c) => svg(shafts, "path", { d: line([at(0, 0), at(way)]), class: "ftt-line", ...ink(course.classes[c], 2.5) }));
    dot.move(...at(direction), degreesOf(direction), `${degreesOf(direction)} degrees`);
    const turn = turnTo(weights[0], direction), far = Math.abs(turn);
    set(opening, { d: line(arc(weights[0], weights[0] + turn, 0.3)) });
    set(ray, { d: line([at(0, 0), at(direction)]) });
    const [tx, ty] = at(weights[0] + turn / 2, 0.46);
    set(theta, { x: tx, y: ty + 5 }).textContent = far > 8 * DEGREE ? degrees(far) : "";
    drawPush(turning / s);
    table(weights.map((way, c) => ({
      color: course.classes[c].color, angle: Math.abs(turnTo(direction, way)), logit: logits[c], share: shares[c],
    })));
    const loss = logSumExp(logits) - logits[0], way = Math.sign(turning) === -Math.sign(turn) ? "towards" : "away from";
    frame.say(`${degrees(far)} from its class: with the margin its probability is ${say(shares[0])}, the loss ${say(loss)}. ` +
      `The push is ${say(Math.abs(turning) / s)} s per radian${Math.abs(turning) < 0.005 * s ? "" : `, ${way} the class`}.`);
  }

  function drawRegions(margins) {
    regions.replaceChildren();
    const rays = [];
    weights.forEach((way, c) => {
      const others = weights.filter((_, other) => other !== c);
      const edges = contentEdges(way, others, margins), wide = contentEdges(way, others, NO_MARGIN);
      if (edges) {
        const fill = { class: `ftt-area${c ? "" : " own"}`, style: `--c:${course.classes[c].color}` };
        svg(regions, "path", { ...fill, d: area([at(0, 0), ...arc(way + edges[0], way + edges[1], 1)]) });
      }
      for (const edge of wide ?? []) rays.push(line([at(0, 0), at(way + edge)]));
    });
    set(borders, { d: rays.join("") });
  }

  /** An arrow around the circle, outside: which way the loss turns the image, in shares of s. */
  function drawPush(share) {
    const turn = clamp(TURN * share, -Math.PI, Math.PI), head = Math.min(7 * DEGREE, Math.abs(turn)) * Math.sign(turn);
    const neck = direction + turn - head;
    if (Math.abs(turn) < 0.2 * DEGREE) return set(push, { d: "" });
    const width = 0.02, half = Math.max(0.03, Math.abs(head) * 0.6);
    set(push, { d: area([...arc(direction, neck, 1.36 - width), at(neck, 1.36 - half), at(direction + turn, 1.36),
                         at(neck, 1.36 + half), ...arc(neck, direction, 1.36 + width)]) });
  }

  changeLoss(options);
  changeClasses();
}

const degreesOf = (way) => (Math.round(way / DEGREE) % 360 + 360) % 360;

/** A table of the classes; returns what fills it. */
function scoreTable(panel) {
  const table = html(panel, "table", { class: "ftt-table" });
  const head = html(html(table, "thead"), "tr");
  for (const name of ["class", "θ", "cos θ", "logit", "probability"]) html(head, "th", { scope: "col" }, name);
  const body = html(table, "tbody");
  html(panel, "p", { class: "ftt-note" }, "Filled: where the loss is content with a class; dashed: the borders " +
    "without a margin. The logit of class 0 has the margin in it.");
  return (rows) => {
    while (body.rows.length > rows.length) body.lastElementChild.remove();
    rows.forEach(({ color, angle, logit, share }, c) => {
      const row = body.rows[c] ?? html(body, "tr");
      if (!row.cells.length) {
        html(html(row, "th", { scope: "row" }), "span", { class: "ftt-chip" }, c);
        for (let i = 0; i < 4; i++) html(row, "td");
        row.style.setProperty("--c", color);
      }
      const texts = [degrees(angle), say(Math.cos(angle)), say(logit, 1), say(share)];
      texts.forEach((text, i) => { row.cells[i + 1].textContent = text; });
      row.cells[4].style.setProperty("--share", `${(100 * share).toFixed(1)}%`);
    });
  };
}

/* --- 4 · playback: a recorded training in the plane ------------------------------------------------- */

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PLAY_SECONDS = 9;

/** Coordinates out of two letters each, from −reach to reach. */
function unpack(text, reach) {
  const value = new Map([...LETTERS].map((letter, i) => [letter, i]));
  return Float32Array.from({ length: text.length / 2 }, (_, i) =>
    (((value.get(text[2 * i]) * 64 + value.get(text[2 * i + 1])) / 4095) * 2 - 1) * reach);
}

function playback(host, options, { course, [`playback_${options.record}`]: record }) {
  const frame = new Frame(host, `Ten classes of digits in the plane, while ${record.loss} is trained`);
  const epochs = record.epochs, last = epochs.at(-1);
  const clouds = record.points.map((text, i) => unpack(text, record.reaches[i]));
  const left = frame.panel(), right = frame.panel();
  const canvas = html(left, "canvas", { class: "ftt-canvas", role: "img" });
  const axis = { x: [0, last], xTicks: spread(0, last, last + 1), xLabel: "epochs", height: 180 };
  const share = new Chart(right, { ...axis, y: [0, 1], yTicks: [0, 0.5, 1], yLabel: "accuracy, and equal error rate" });
  const angle = new Chart(right, { ...axis, y: [0, 60], yTicks: [0, 20, 40, 60], yText: (v) => `${v}°`, yLabel: "angles to the class centres" });
  const good = { color: course.own }, bad = { color: course.other, dash: [3, 2] };
  for (const [chart, column, look] of [[share, 0, good], [share, 4, bad], [angle, 2, good], [angle, 3, bad]])
    chart.draw(chart.add(look), epochs, record.scores.map((row) => row[column]));
  key(right, [["accuracy; angle to the own centre", good], ["error rate; from a centre to the nearest other", bad]]);
  const cursors = [share, angle].map((chart) => svg(chart.plot, "path", { class: "ftt-cursor strong" }));
  if (record.marginFrom) for (const chart of [share, angle]) {
    chart.stand(svg(chart.plot, "path", { class: "ftt-grid" }), record.marginFrom);
    const where = { x: chart.X(record.marginFrom) + 4, y: chart.top + 10, class: "ftt-word" };
    if (chart === angle) svg(chart.plot, "text", where, "from here with margin");
  }
  const play = html(frame.controls, "button", { type: "button", class: "ftt-play" }, "Play");
  const time = slider(frame, { label: "time", unit: "epochs", min: 0, max: last, step: 0.01, value: last }, () => { stop(); update(); });
  let running = null;
  play.addEventListener("click", () => (running ? stop() : start()));

  /** Between which two recorded moments an epoch lies, and how far. */
  function between(epoch) {
    const after = clamp(epochs.findIndex((e) => e > epoch - 1e-9), 1, epochs.length - 1);
    const before = (after === -1 ? epochs.length - 1 : after) - 1;
    return [before, clamp((epoch - epochs[before]) / (epochs[before + 1] - epochs[before]), 0, 1)];
  }

  const epochOf = (moment) => {
    const before = Math.min(Math.floor(moment), epochs.length - 2);
    return epochs[before] + (moment - before) * (epochs[before + 1] - epochs[before]);
  };

  function start() {
    const most = epochs.length - 1, [before, part] = between(time.value);
    const from = before + part >= most - 0.01 ? 0 : before + part;
    const began = performance.now(), mine = (running = {});
    play.textContent = "Pause";
    const step = (now) => {
      if (running !== mine) return;
      let moment = Math.min(from + (Math.max(0, now - began) / 1000 / PLAY_SECONDS) * most, most);
      if (calm()) moment = Math.floor(moment);
      time.value = epochOf(moment);
      update();
      if (moment >= most) return stop();
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  function stop() {
    running = null;
    play.textContent = "Play";
  }

  function update() {
    const [before, part] = between(time.value);
    const mix = (a, b) => a + part * (b - a);
    drawPlane(before, mix);
    cursors.forEach((cursor, i) => [share, angle][i].stand(cursor, time.value));
    const [accuracy, , own, nearest, eer] = record.scores[before].map((value, i) => mix(value, record.scores[before + 1][i]));
    const text = `After ${say(time.value, 2)} epochs: accuracy ${say(accuracy)}, equal error rate ${say(eer)}; ` +
      `${degrees(own * DEGREE)} to the own centre, ${degrees(nearest * DEGREE)} from a centre to the nearest other.`;
    frame.say(text);
    canvas.setAttribute("aria-label", `The embeddings of ${record.labels.length} held-out digits, with the class weights as rays.`);
  }

  function drawPlane(before, mix) {
    const size = canvas.clientWidth || 360, ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(size * ratio)) canvas.width = canvas.height = Math.round(size * ratio);
    const context = canvas.getContext("2d"), colors = canvasColors(canvas, course);
    const reach = 1.12 * mix(record.reaches[before], record.reaches[before + 1]);
    const unit = size / 2 / reach, at = (x, y) => [size / 2 + unit * x, size / 2 - unit * y];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size, size);
    context.textAlign = "center";
    context.textBaseline = "middle";
    drawRings(context, at, unit, reach, colors);
    drawRays(context, at, reach, colors, before, mix);
    context.font = "700 10px system-ui, sans-serif";
    const [cloud, next] = [clouds[before], clouds[before + 1]];
    for (let i = 0; i < record.labels.length; i++) {
      context.fillStyle = colors.classes[record.labels[i]];
      context.fillText(record.labels[i], ...at(mix(cloud[2 * i], next[2 * i]), mix(cloud[2 * i + 1], next[2 * i + 1])));
    }
  }

  /** Circles of round lengths, so that one sees the plane grow. */
  function drawRings(context, at, unit, reach, colors) {
    context.strokeStyle = colors.grid;
    context.fillStyle = colors.ink;
    context.font = "11px system-ui, sans-serif";
    context.lineWidth = 1;
    const [lengths, middle] = [ticksBetween(0, reach, 3).slice(1), at(0, 0)];
    for (const length of lengths) {
      context.beginPath();
      context.arc(...middle, unit * length, 0, 2 * Math.PI);
      context.stroke();
      context.fillText(length, ...at(length * Math.SQRT1_2, -length * Math.SQRT1_2));
    }
  }

  function drawRays(context, at, reach, colors, before, mix) {
    context.lineWidth = 2;
    context.font = "700 14px system-ui, sans-serif";
    record.directions[before].forEach((way, c) => {
      const turned = way + mix(0, turnTo(way, record.directions[before + 1][c]));
      const tip = (r) => at(r * reach * Math.cos(turned), r * reach * Math.sin(turned));
      context.strokeStyle = context.fillStyle = colors.classes[c];
      context.beginPath();
      context.moveTo(...at(0, 0));
      context.lineTo(...tip(0.87));
      context.stroke();
      context.fillText(c, ...tip(0.94));
    });
  }

  new ResizeObserver(() => update()).observe(canvas);
  onTheme(update);
  update();
}

/** The colours of classes and lines as they are now, dark or light. */
function canvasColors(canvas, course) {
  const probe = html(canvas.parentElement, "span", { class: "ftt-probe" });
  const plain = (color) => {
    probe.style.color = color;
    return getComputedStyle(probe).color;
  };
  const read = (color) => {
    probe.style.setProperty("--c", color);
    return plain("var(--lit)");
  };
  const found = {
    classes: course.classes.map(({ color, edge }) => read(`color-mix(in oklab, ${color}, ${edge} 30%)`)),
    ink: plain("var(--ftt-soft)"),
    grid: plain("var(--ftt-grid)"),
  };
  probe.remove();
  return found;
}

function onTheme(change) {
  new MutationObserver(change).observe(document.body, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", change);
}

/* --- 5 · threshold: scores of pairs, and what a threshold accepts ----------------------------------- */

function threshold(host, options, { course, [`scores_${options.scores}`]: data }) {
  const frame = new Frame(host, "A threshold trades one kind of error for the other");
  const names = Object.keys(data.models);
  const left = frame.panel(), right = frame.panel();
  const first = Math.min(...names.map((name) => data.models[name].first)), perUnit = data.models[names[0]].perUnit;
  const low = Math.floor((10 * first) / perUnit) / 10;
  const axis = { x: [low, 1], xTicks: ticksBetween(low, 1, 5), xText: minus, xLabel: "cosine of the pair" };
  const density = new Chart(left, { ...axis, y: [0, 1], yTicks: [], yLabel: "share of the pairs", left: 20 });
  const error = new Chart(right, { ...axis, y: [1e-6, 1], yTicks: [1e-6, 1e-4, 1e-2, 1], log: true, xLabel: "threshold",
                                   yText: (v) => (v === 1 ? "1" : `10${["⁻⁶", "⁻⁴", "⁻²"][Math.round(Math.log10(v) / 2) + 3]}`),
                                   yLabel: "share of the pairs that is wrong" });
  const genuine = { color: course.own }, impostor = { color: course.other, dash: [3, 2] };
  const parts = {
    wrongIn: density.fill(impostor), wrongOut: density.fill(genuine),
    impostor: density.add(impostor), genuine: density.add(genuine),
    far: error.add(impostor), frr: error.add(genuine),
  };
  const cursor = svg(error.plot, "path", { class: "ftt-cursor strong" });
  const cross = svg(error.plot, "circle", { r: 5, class: "ftt-ring" }), equal = svg(error.plot, "text", { class: "ftt-word" });
  const dots = [0, 1].map(() => svg(error.plot, "circle", { r: 5.5, class: "ftt-dot" }));
  const bar = svg(density.over, "path", { class: "ftt-bar" });
  const grip = handle(density.over, {
    label: "threshold", range: [low, 1], drag: (x) => move(density.value(x)), nudge: (dx, dy) => move(at.value + (dx + dy) / perUnit),
  });
  key(left, [["genuine pairs, refused where filled", genuine], ["impostor pairs, accepted where filled", impostor]]);
  key(right, [["genuine pairs refused: 1 − TAR (FNMR)", genuine], ["impostor pairs accepted: FAR (FMR)", impostor]]);
  html(frame.panels, "p", { class: "ftt-note ftt-wide" }, `The pairs: ${data.about}.`);
  const list = names.length > 1 ? choice(frame, "model", names, options.model ?? names.at(-1), () => changeModel()) : null;
  const start = Number(options.threshold ?? data.models[options.model ?? names.at(-1)].eerAt);
  const at = slider(frame, {
    label: "threshold", unit: "cosine", min: low, max: 1, step: 1 / perUnit, value: start, show: (v) => say(v, 3),
  }, () => update());
  const enlarge = tick(frame, "enlarge what is rare, 20 times", () => changeModel());
  let counts;

  function move(value) {
    at.value = clamp(value, low, 1);
    update();
  }

  function changeModel() {
    counts = data.models[list ? list.value : names[0]];
    const steps = counts.genuine.map((_, i) => counts.first + i), cosines = steps.map((step) => step / perUnit);
    const found = steps.map((step) => rates(counts, step));
    const [own, others] = ["genuine", "impostor"].map((kind) => histogram(counts[kind]));
    const most = Math.max(...own, ...others);
    density.range([0, (1.06 * most) / (enlarge.checked ? 20 : 1)], []);
    parts.cosines = cosines.slice(0, -1).map((cosine) => cosine + 0.5 / perUnit);
    Object.assign(parts, { own, others });
    density.draw(parts.genuine, parts.cosines, own);
    density.draw(parts.impostor, parts.cosines, others);
    error.draw(parts.far, cosines, found.map(({ far }) => far));
    error.draw(parts.frr, cosines, found.map(({ tar }) => 1 - tar));
    set(cross, { cx: error.X(counts.eerAt), cy: error.Y(counts.eer) });
    const side = counts.eerAt - low > 0.75 * (1 - low) ? { dx: -10, "text-anchor": "end" } : { dx: 10, "text-anchor": "start" };
    set(equal, { x: error.X(counts.eerAt), y: error.Y(counts.eer) + 16, ...side }).textContent = `EER ${say(counts.eer, 3)}`;
    update();
  }

  /** Shares of the pairs between neighbouring thresholds, of two on each side as well. */
  function histogram(accepted) {
    const share = accepted.slice(0, -1).map((count, i) => (count - accepted[i + 1]) / accepted[0]);
    return share.map((_, i) => {
      const near = share.slice(Math.max(0, i - 2), i + 3);
      return near.reduce((sum, value) => sum + value, 0) / near.length;
    });
  }

  function update() {
    const value = at.value, step = Math.round(value * perUnit);
    const { far, tar } = rates(counts, step), x = density.X(value);
    const refused = parts.cosines.filter((cosine) => cosine < value).length;
    density.shade(parts.wrongIn, parts.cosines.slice(refused), parts.others.slice(refused));
    density.shade(parts.wrongOut, parts.cosines.slice(0, refused), parts.own.slice(0, refused));
    density.stand(bar, value);
    grip.move(x, density.top + 8, value, `cosine ${say(value, 3)}`);
    error.stand(cursor, value);
    [far, 1 - tar].forEach((share, i) => set(dots[i], { cx: error.X(value), cy: share ? error.Y(share) : -99 }));
    frame.say(`From ${say(value, 3)} on a pair is called the same: that accepts ${percent(far)} of the impostor pairs ` +
      `(${whole(far * counts.impostor[0])} of ${whole(counts.impostor[0])}) and refuses ${percent(1 - tar)} of the genuine ones.`);
  }

  changeModel();
}

/** A number that may be very small, with two digits that mean something. */
function small(value) {
  if (value === 0 || value >= 0.0995) return say(value, value >= 9.95 || value === 0 ? 0 : value >= 0.995 ? 1 : 2);
  if (value >= 1e-4) return String(Number(value.toPrecision(2)));
  const [digits, power] = value.toExponential(1).split("e-");
  return `${digits} · 10⁻${[...power].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("")}`;
}

const percent = (share) => `${small(100 * share)} %`;

/* --- 6 · feasibility: what a scale can reach, and which margin fits --------------------------------- */

const SIZES = [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000,
  100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000];
const DIMENSIONS = [2, 3, 4, 8, 16, 20, 32, 64, 128, 256, 512, 1024];

function feasible(host, options, { course }) {
  const frame = new Frame(host, "");
  const left = frame.panel(), right = frame.panel();
  const most = 64;
  const chart = new Chart(left, {
    x: [0, most], xTicks: [0, 16, 32, 48, 64], y: [0, 1], yTicks: [0, 0.5, 1], xLabel: "scale s",
    yLabel: "highest probability on the class weight", height: 290,
  });
  const looks = {
    best: { color: course.own },
    random: { color: course.other, dash: [3, 2] },
    margin: { color: course.losses.CosFace.color, dash: [5, 2, 1, 2] },
  };
  const lines = Object.fromEntries(Object.entries(looks).map(([name, look]) => [name, chart.add(look)]));
  const wanted = svg(chart.plot, "path", { class: "ftt-cursor" }), cursor = svg(chart.plot, "path", { class: "ftt-cursor strong" });
  const dots = ["best", "random"].map((name) => svg(chart.plot, "circle", { r: 5, class: "ftt-dot", style: `--c:${looks[name].color}` }));
  const keys = html(left, "div");
  const fan = picture(right, 340, 290, "class weights, and what the margin asks for between them");
  const caption = html(right, "p", { class: "ftt-note" });
  const facts = html(frame.panels, "dl", { class: "ftt-facts ftt-wide" });
  const indexed = (label, list, value) => slider(frame, {
    label, min: 0, max: list.length - 1, value: nearestIndex(list, value), show: (i) => whole(list[i]),
  }, () => update());
  const controls = {
    C: indexed("classes C", SIZES, Number(options.classes ?? 10)),
    D: indexed("dimensions D", DIMENSIONS, Number(options.dim ?? 2)),
    s: slider(frame, { label: "scale s", min: 1, max: most, value: options.scale ?? 16 }, () => update()),
    P: slider(frame, { label: "probability P wanted", min: 0.55, max: 0.99, step: 0.01, value: options.probability ?? 0.9 }, () => update()),
    m2: slider(frame, { label: "m₂, ArcFace", unit: "radians", min: 0, max: 1.57, step: 0.01, value: options.m2 ?? 0 }, () => update()),
    m3: slider(frame, { label: "m₃, CosFace", unit: "cosine", min: 0, max: 1.5, step: 0.01, value: options.m3 ?? 0 }, () => update()),
  };

  function update() {
    const C = SIZES[controls.C.value], D = DIMENSIONS[controls.D.value];
    const { s, P, m2, m3 } = values(controls), margins = { m1: 1, m2, m3 };
    const found = feasibility(C, D, s, margins);
    const scales = { best: smallestScale(P, C, D), random: randomScale(P, C, D), bound: smallestScale(P, C) };
    drawCurves(C, D, margins, s, P, scales);
    drawRoom(C, D, found, margins);
    state(C, D, s, P, found, scales, m2 > 0 || m3 > 0);
  }

  function drawCurves(C, D, margins, s, P, scales) {
    const at = spread(0.5, most, 200);
    const hasMargin = margins.m2 > 0 || margins.m3 > 0, target = Math.cos(margins.m2) - margins.m3;
    chart.draw(lines.best, at, at.map((x) => Math.exp(-lossOnWeight(C, D, 1, x))));
    chart.draw(lines.random, at, at.map((x) => randomProbability(C, D, x)));
    chart.draw(lines.margin, hasMargin ? at : [], at.map((x) => Math.exp(-lossOnWeight(C, D, target, x))));
    set(wanted, { d: `M${chart.left},${chart.Y(P)}H${chart.right}` });
    chart.stand(cursor, s);
    [scales.best, scales.random].forEach((x, i) => set(dots[i], { cx: x <= most ? chart.X(x) : -99, cy: chart.Y(P) }));
    keys.replaceChildren();
    const best = arrangement(C, D) ? "best arrangement" : "bound, eq. 6: not quite reached";
    const entries = [[best, looks.best], ["random directions", looks.random]];
    if (hasMargin) entries.push(["with the margin in it", looks.margin]);
    key(keys, entries);
  }

  /** In the plane all classes, each with the region that it keeps; else two neighbours. */
  function drawRoom(C, D, found, margins) {
    fan.replaceChildren();
    const known = D === 2 && C <= 60, shown = known ? 2 * Math.PI : found.angleHigh;
    const origin = known ? [170, 145] : [170 - 70 * Math.sin(shown / 2), shown > 2 ? 170 : 240];
    const r = known ? 112 : shown > 2 ? 125 : 170, top = Math.PI / 2 + (shown > 2 && !known ? shown / 2 : 0);
    const at = (way, share = 1) => [origin[0] + share * r * Math.cos(way), origin[1] - share * r * Math.sin(way)];
    const sector = (from, to, share, look) =>
      svg(fan, "path", { d: area([origin, ...spread(from, to, 61).map((way) => at(way, share))]), ...look });
    const color = found.attainable === false ? course.losses.SphereFace.color : course.own;
    const weight = (way, own) => svg(fan, "path", { class: `ftt-weight${own ? " own" : ""}`, d: arrow(origin, at(way), 2.2) });
    const word = ([x, y], anchor, text) => svg(fan, "text", { x, y, class: "ftt-word", "text-anchor": anchor }, text);
    if (known) {
      const ways = spread(top, top - 2 * Math.PI, C + 1).slice(0, -1);
      const edges = contentEdges(ways[0], ways.slice(1), margins);
      svg(fan, "circle", { cx: origin[0], cy: origin[1], r, class: "ftt-rim" });
      if (edges) for (const way of ways) sector(way + edges[0], way + edges[1], 1, { class: "ftt-area own", style: `--c:${color}` });
      ways.forEach((way, c) => weight(way, c === 0));
      caption.textContent = edges ? "All classes, evenly spread; filled: where the loss is content." :
        "All classes, evenly spread: with this margin the loss is content nowhere.";
      return;
    }
    const asks = Math.min(found.angleNeeded, Math.PI);
    if (found.angleHigh - found.angleLow > 1e-6) sector(top - found.angleLow, top - found.angleHigh, 1, { class: "ftt-doubt" });
    if (asks > 0) sector(top, top - asks, 0.8, { class: "ftt-area own", style: `--c:${color}` });
    weight(top, true);
    weight(top - found.angleHigh, false);
    const [x, y] = at(top - found.angleHigh);
    word([at(top)[0], at(top)[1] - 8], "middle", "own class");
    word([x, y - 10], "end", "neighbour");
    if (asks > 0.1) word(at(top - asks / 2, 0.5), "middle", Number.isFinite(found.angleNeeded) ? degrees(found.angleNeeded) : "over 180°");
    caption.textContent = "Two neighbours as far apart as may be; filled: the angle that the margin asks for" +
      (found.exact || found.angleHigh - found.angleLow < 1e-6 ? "." : "; grey: where the best place for the other may be.");
  }

  function state(C, D, s, P, found, scales, hasMargin) {
    const range = ([low, high], write) => (high - low < 1e-9 ? write(low) : `${write(low)} to ${write(high)}`);
    const margins = largestMargins(C, D), bound = found.exact || found.highestProbability > 0.9995 ? "" : " at most";
    const apart = range([found.angleLow, found.angleHigh], (angle) => degrees(angle, 1));
    const needed = Number.isFinite(found.angleNeeded) ? degrees(found.angleNeeded, 1) : "over 180°";
    const fits = { true: "fits", false: "does not fit", null: "may fit" }[found.attainable];
    const rows = [
      [`probability at s = ${s}`, `${chanceText(found.highestProbability)}${bound}; ${chanceText(randomProbability(C, D, s))} in random directions`],
      [`scale for P = ${say(P)}`, `${number(scales.best)}${found.exact ? "" : " at least"}; ${number(scales.random)} in random directions`],
      ["CosFace’s eq. 6", `s ≥ ${say(scales.bound, 2)}`],
      ["angle between neighbours", `${apart} at best`],
      ["the margin asks for", hasMargin ? `${needed}: it ${fits}` : "nothing"],
      ["largest m₃, CosFace", range(margins.m3, (m) => say(m, 3))],
      ["largest m₂, ArcFace", range(margins.m2, (m) => `${say(m, 3)} rad`)],
      ["loss floor, with margin", `${small(found.lossFloor)}${found.exact ? "" : " at least"}`],
    ];
    facts.replaceChildren();
    for (const [name, value] of rows) {
      const pair = html(facts, "div");
      html(pair, "dt", {}, name);
      html(pair, "dd", {}, value);
    }
    const reaches = found.highestProbability >= P ? "reaches" : "cannot reach";
    frame.title.textContent = `A scale of ${s} ${reaches} a probability of ${say(P)} for ${whole(C)} classes`;
    frame.say(`${whole(C)} classes in ${D} dimensions: s = ${s} reaches ${chanceText(found.highestProbability)}${bound}. ` +
      (hasMargin ? `The margin asks for ${needed} between neighbours, at best they have ${apart}: it ${fits}.`
        : "Without a margin all classes keep a region."));
  }

  update();
}

const chanceText = (value) => (value > 0.9995 ? "over 0.999" : say(value, 3));
const number = (value) => (value < 1000 ? say(value, 1) : value < 1e6 ? whole(value) : "over a million");
const nearestIndex = (list, value) =>
  list.reduce((best, item, i) => (Math.abs(Math.log(item / value)) < Math.abs(Math.log(list[best] / value)) ? i : best), 0);

/* --- finding the figures, and their data -------------------------------------------------------------- */

const figures = { explorer, field, circle, playback, threshold, feasibility: feasible };
const dataOf = {
  playback: (options) => [`playback_${options.record}`],
  threshold: (options) => [`scores_${options.scores}`],
};
const fetched = new Map();

/** The style beside this file, unless the page has it already. */
function style() {
  if (document.querySelector('link[href*="figures.css"]')) return fetched.get("style");
  const link = html(document.head, "link", { rel: "stylesheet", href: new URL("figures.css", HERE) });
  fetched.set("style", new Promise((done) => { link.onload = link.onerror = done; }));
  return fetched.get("style");
}

/** A data script of the folder `figures`, put into the page once; resolves to what it holds. */
function load(name) {
  const known = () => window.marginFiguresData?.[name];
  if (known()) return Promise.resolve(known());
  if (!fetched.has(name)) fetched.set(name, new Promise((found, lost) => {
    const script = html(document.head, "script", { src: new URL(`figures/${name}.js`, HERE) });
    script.onload = () => found(known());
    script.onerror = () => lost(new Error(`figures/${name}.js is missing: lib.tools.site.figures writes it`));
  }));
  return fetched.get(name);
}

/** Turn one still into its figure. What cannot be had leaves the still as it is. */
async function upgrade(host) {
  const { figure, ready, ...options } = host.dataset;
  if (ready || !figures[figure]) return;
  host.dataset.ready = "loading";
  const names = ["course", ...(dataOf[figure]?.(options) ?? [])];
  const found = await Promise.all(names.map(load));
  await style();
  figures[figure](host, options, Object.fromEntries(names.map((name, i) => [name, found[i]])));
  host.dataset.ready = "true";
}

function upgradeAll() {
  for (const host of document.querySelectorAll(".figure-to-touch")) upgrade(host);
}

window.marginFigures = { formulas, upgrade };
if (document.readyState === "loading") addEventListener("DOMContentLoaded", upgradeAll);
else upgradeAll();
})();
