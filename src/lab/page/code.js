// The code, step by step: what differs from one to the next is marked.

import { byId, make } from "./make.js";

const SIGNS = { same: " ", gone: "−", new: "+" };

function lines(step) {
  return step.lines.map(({ mark, text }) => make("span", { class: `line ${mark}` }, `${SIGNS[mark]} ${text}`));
}

// What is to be read before the question stands above it; all else is not shown before the run, or it would give the answer away.
export function open(steps) {
  const firsts = steps.filter((step) => step.first);
  const read = firsts.map((step) => make("div", {}, make("p", {}, step.says), make("pre", { class: "code", tabindex: "0" }, ...lines(step))));
  byId("first").replaceChildren(make("h3", {}, "Read these first"), make("div", { class: "programs" }, ...read));
  byId("first").hidden = firsts.length === 0;
  byId("all-code").hidden = firsts.length > 0;
  const buttons = steps.map((_, n) => make("button", { type: "button", "aria-pressed": "false" }, n === 0 ? "1" : `${n} → ${n + 1}`));
  const show = (n) => {
    buttons.forEach((button, k) => button.setAttribute("aria-pressed", k === n));
    byId("step-says").textContent = steps[n].says;
    byId("code").replaceChildren(...lines(steps[n]));
  };
  buttons.forEach((button, n) => button.addEventListener("click", () => show(n)));
  byId("steps").replaceChildren(...buttons);
  if (steps.length > 0) show(Math.min(1, steps.length - 1));
}

// The run is done.
export function all() {
  byId("all-code").hidden = false;
}
