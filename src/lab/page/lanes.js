// A lane for each worker: what it does now, and what it did before. Colours are told apart by letters and patterns, too.

import { byId, make, percent } from "./make.js";

const LANES = [["working", "W"], ["holding", "H"], ["waiting", "Q"], ["asleep", "Z"]];

// Columns of the past that are shown.
const PAST = 90;

let snapshots = [];
let rows = [];
let following = true;

export function reset() {
  snapshots = [];
  rows = [];
  following = true;
  byId("rows").replaceChildren();
  byId("lanes").hidden = true;
  byId("scrub-box").hidden = true;
}

// `live`: it is drawn at once.
export function add(snapshot, live) {
  snapshots.push(snapshot);
  if (live && following) draw(snapshots.length - 1);
}

// All of it can be looked at.
export function finish() {
  if (snapshots.length === 0) return;
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
  return lanes.reduce((all, lane) => all + lane[name], 0);
}

function row(n) {
  const parts = LANES.map(([name]) => make("span", { class: name }));
  const now = make("div", { class: "now", role: "img" }, ...parts);
  const past = make("canvas", { height: 22, "aria-hidden": "true" });
  byId("rows").append(make("div", { class: "row" }, make("span", {}, String(n + 1)), now, past));
  return { parts, now, past };
}

function draw(index) {
  byId("lanes").hidden = false;
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
  const [working, holding, waiting, asleep] = LANES.map(([name]) => sum(lanes, name).toFixed(1));
  byId("together").textContent =
    `Of ${lanes.length}, at any moment: ${working} worked, ${holding} held the lock, ${waiting} waited, ${asleep} slept while they waited.`;
  rows.forEach(({ past }, n) => paint(past, n, index));
}

// In one colour with stripes or dots, for each lane.
function inks(context) {
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
    return context.createPattern(tile, "repeat");
  });
}

function paint(canvas, n, index) {
  const wide = canvas.clientWidth;
  if (wide === 0) return;
  if (canvas.width !== wide) canvas.width = wide;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const fills = inks(context);
  const each = canvas.width / PAST;
  const first = Math.max(0, index - PAST + 1);
  for (let k = first; k <= index; k += 1) {
    const lane = snapshots[k].lanes[n];
    if (!lane) continue;
    let top = 0;
    LANES.forEach(([name], ink) => {
      const height = lane[name] * canvas.height;
      context.fillStyle = fills[ink];
      context.fillRect((k - first) * each, top, each + 0.5, height);
      top += height;
    });
  }
}

byId("scrub").addEventListener("input", (event) => draw(Number(event.target.value)));
