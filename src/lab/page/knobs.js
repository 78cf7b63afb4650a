// Sliders and lists for what can be set.

import { make, number } from "./make.js";

const PLACES = 200;

// A slider over a wide range is logarithmic, or its lower end could not be set.
function scale(least, most) {
  if (most - least <= PLACES) return { most: most - least, value: (at) => least + at, place: (value) => value - least };
  const all = Math.log1p(most - least);
  const round = (value) => {
    const digit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(value, 1))) - 1);
    return Math.round(value / digit) * digit;
  };
  return {
    most: PLACES,
    value: (at) => (at >= PLACES ? most : Math.min(most, Math.max(least, round(least + Math.expm1((all * at) / PLACES))))),
    place: (value) => Math.round((PLACES * Math.log1p(value - least)) / all),
  };
}

function slider(id, says, { least, most, usual }) {
  const { most: last, value, place } = scale(least, most);
  const output = make("output", { for: id });
  const input = make("input", { type: "range", id, min: 0, max: last, step: 1 });
  let now = usual;
  const show = () => {
    output.textContent = number(now);
    input.setAttribute("aria-valuetext", `${now}`);
  };
  input.value = place(usual);
  input.addEventListener("input", () => {
    now = value(Number(input.value));
    show();
  });
  show();
  const label = make("label", { for: id }, make("span", {}, says), output);
  return { element: make("p", { class: "knob" }, label, input), value: () => now };
}

function list(id, says, { of, usual }) {
  const options = of.map((word) => make("option", { value: word }, word));
  const select = make("select", { id }, ...options);
  select.selectedIndex = usual;
  return { element: make("p", { class: "knob" }, make("label", { for: id }, says), select), value: () => select.value };
}

// For all knobs of an experiment: how they stand, as NAME=VALUE, and whether as they first stood. `moved` is called when one is moved.
export function knobs(set, all, moved) {
  const made = all.map(({ name, says, range }) => {
    const id = `knob-${name}`;
    return { name, ...(range.number ? slider(id, says, range.number) : list(id, says, range.word)) };
  });
  const how = () => made.map((one) => `${one.name}=${one.value()}`);
  const first = how().join(" ");
  set.replaceChildren(...made.map((one) => one.element));
  set.oninput = moved;
  return { set: how, usual: () => how().join(" ") === first };
}

// How long a run may take.
export function time(place) {
  const seconds = slider("seconds", "seconds that it may take", { least: 1, most: 120, usual: 20 });
  place.replaceChildren(seconds.element);
  return seconds.value;
}
