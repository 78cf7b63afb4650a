// A lane for each worker: what it does now, and what it did before. Colours are told apart by letters and patterns, too.

import { byId, make, percent } from "./make.js";

const LANES = [["working", "W"], ["holding", "H"], ["waiting", "Q"], ["asleep", "Z"], ["gone", "X"]];

// Columns of the past that are shown.
const PAST = 90;

let snapshots = [];
let rows = [];
// Where the past is drawn up to.
let shown = 0;
// What lanes are painted with, until the theme changes.
let inks = null;

export function reset() {
  snapshots = [];
  rows = [];
  byId("rows").replaceChildren();
  byId("lanes").hidden = true;
  byId("scrub-box").hidden = true;
}

// `live`: it is drawn at once.
export function add(snapshot, live) {
  if (snapshot.lanes.length === 0) return;
  snapshots.push(snapshot);
  if (live) draw(snapshots.length - 1);
}

// All of it can be looked at. `done`: nothing more was to be told.
export function finish(done) {
  if (snapshots.length === 0) {
    if (done) open(false);
    return;
  }
  const scrub = byId("scrub");
  scrub.max = snapshots.length - 1;
  scrub.value = busiest();
  byId("scrub-box").hidden = false;
  draw(Number(scrub.value));
}

// With the most workers, and of those the one in which most wait.
function busiest() {
  const weight = ({ lanes }) => lanes.length * 1000 + sum(lanes, "waiting") + sum(lanes, "asleep");
  const weights = snapshots.map(weight);
  return weights.indexOf(Math.max(...weights));
}

function sum(lanes, name) {
  return lanes.reduce((all, lane) => all + (lane[name] ?? 0), 0);
}

function row(n) {
  const parts = LANES.map(([name]) => make("span", { class: name }));
  const now = make("div", { class: "now", role: "img" }, ...parts);
  const past = make("canvas", { height: 22, "aria-hidden": "true" });
  byId("rows").append(make("div", { class: "row" }, make("span", {}, String(n + 1)), now, past));
  return { parts, now, past };
}

// With lanes, or to say that there are none.
function open(any) {
  byId("lanes").hidden = false;
  byId("some-lanes").hidden = !any;
  byId("no-lanes").hidden = any;
}

function draw(index) {
  open(true);
  shown = index;
  const { lanes, at } = snapshots[index];
  while (rows.length < lanes.length) rows.push(row(rows.length));
  byId("at").textContent = at;
  rows.forEach(({ parts, now }, n) => {
    const lane = lanes[n];
    parts.forEach((part, k) => {
      const [name, letter] = LANES[k];
      const share = lane?.[name] ?? 0;
      part.style.flexGrow = share;
      part.textContent = share > 0.12 ? letter : "";
    });
    const said = LANES.filter(([name]) => (lane?.[name] ?? 0) >= 0.005).map(([name]) => `${name} ${percent(lane[name])}`);
    now.setAttribute("aria-label", `worker ${n + 1}: ${said.join(", ") || "not there"}`);
  });
  const [working, holding, waiting, asleep, gone] = LANES.map(([name]) => sum(lanes, name).toFixed(1));
  const ended = gone > 0 ? `, ${gone} had ended or were killed` : "";
  byId("together").textContent =
    `Of ${lanes.length}, at any moment: ${working} worked, ${holding} held the lock, ${waiting} waited, ${asleep} slept while they waited${ended}.`;
  rows.forEach(({ past }, n) => paint(past, n, index));
}

// In one colour with stripes, dots or crosses, for each lane.
function mixed() {
  const style = getComputedStyle(document.documentElement);
  const stripe = style.getPropertyValue("--stripe");
  return LANES.map(([name], k) => {
    const tile = new OffscreenCanvas(8, 8);
    const pen = tile.getContext("2d");
    pen.fillStyle = style.getPropertyValue(`--${name}`);
    pen.fillRect(0, 0, 8, 8);
    pen.fillStyle = stripe;
    if (k === 1) pen.fillRect(0, 0, 2, 8);
    if (k === 2) for (let i = 0; i < 8; i += 1) pen.fillRect(i, 7 - i, 3, 1);
    if (k === 3) pen.fillRect(2, 2, 3, 3);
    if (k === 4) for (let i = 0; i < 8; i += 1) [i, 7 - i].forEach((at) => pen.fillRect(at, i, 1, 1));
    return pen.createPattern(tile, "repeat");
  });
}

function paint(canvas, n, index) {
  const wide = canvas.clientWidth;
  if (wide === 0) return;
  if (canvas.width !== wide) canvas.width = wide;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  inks ??= mixed();
  const each = canvas.width / PAST;
  const first = Math.max(0, index - PAST + 1);
  for (let k = first; k <= index; k += 1) {
    const lane = snapshots[k].lanes[n];
    if (!lane) continue;
    let top = 0;
    LANES.forEach(([name], ink) => {
      const height = (lane[name] ?? 0) * canvas.height;
      context.fillStyle = inks[ink];
      context.fillRect((k - first) * each, top, each + 0.5, height);
      top += height;
    });
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  inks = null;
  if (rows.length > 0) draw(shown);
});
byId("scrub").addEventListener("input", (event) => draw(Number(event.target.value)));
