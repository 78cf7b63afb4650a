// What is answered before the run: a choice, or a curve that is drawn by pointer or by arrow keys.

import { box, chart, make, number, shape } from "./make.js";

export function prediction(question, changed) {
  return question.canvas ? curve(question, changed) : choice(question, changed);
}

function choice(question, changed) {
  const inputs = question.of.map((_, n) => make("input", { type: "radio", name: "choice", value: n }));
  const labels = question.of.map((text, n) => make("label", {}, inputs[n], text));
  const element = make("fieldset", { class: "choices" }, make("legend", {}, question.says), ...labels);
  element.addEventListener("change", changed);
  const chosen = () => inputs.findIndex((input) => input.checked);
  return {
    element,
    ready: () => chosen() >= 0,
    value: () => ({ choice: chosen() }),
    lock: (locked) => inputs.forEach((input) => (input.disabled = locked)),
  };
}

function curve(question, changed) {
  const { canvas, at, between } = question;
  const [least, most] = between;
  const { across, down, size } = canvas;
  const x = at.map((place) => across.start + ((place - at[0]) / (at[at.length - 1] - at[0])) * (across.end - across.start));
  const y = (value) => down.end - ((value - least) / (most - least)) * (down.end - down.start);
  const values = at.map(() => (least + most) / 4);
  let locked = false;
  let drawn = false;

  const line = shape("polyline");
  const handles = at.map((place, n) =>
    shape("circle", {
      r: 8, cx: x[n], tabindex: 0, role: "slider", "aria-orientation": "vertical", "aria-label": `value at ${place}`,
      "aria-valuemin": least, "aria-valuemax": most,
    }),
  );
  const over = shape("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, role: "group", "aria-label": "Your prediction" });
  over.append(line, ...handles);
  const plane = make("div", { class: "draw" }, chart(canvas.svg), over);

  const show = () => {
    line.setAttribute("points", values.map((value, n) => `${x[n]},${y(value)}`).join(" "));
    handles.forEach((handle, n) => {
      handle.setAttribute("cy", y(values[n]));
      handle.setAttribute("aria-valuenow", values[n]);
      handle.setAttribute("aria-valuetext", number(values[n]));
    });
  };
  const set = (n, value) => {
    if (locked) return;
    values[n] = Math.round(Math.min(most, Math.max(least, value)) * 1000) / 1000;
    drawn = true;
    show();
    changed();
  };

  handles.forEach((handle, n) => {
    handle.addEventListener("keydown", (event) => {
      const step = ((most - least) / 20) * (event.shiftKey ? 0.2 : 1);
      const moves = { ArrowUp: values[n] + step, ArrowDown: values[n] - step, Home: least, End: most };
      const next = { ArrowLeft: n - 1, ArrowRight: n + 1 }[event.key];
      if (event.key in moves) set(n, moves[event.key]);
      else if (next !== undefined) handles[next]?.focus();
      else return;
      event.preventDefault();
    });
  });

  // A stroke sets each place that it passes, also between two events of the pointer.
  let last = null;
  const stroke = (event) => {
    const frame = over.getBoundingClientRect();
    const by = size[0] / frame.width;
    const to = [(event.clientX - frame.left) * by, (event.clientY - frame.top) * by];
    const from = last ?? to;
    const value = (height) => least + ((down.end - height) / (down.end - down.start)) * (most - least);
    let passed = false;
    x.forEach((place, n) => {
      if ((place - from[0]) * (place - to[0]) > 0 || from[0] === to[0]) return;
      passed = true;
      set(n, value(from[1] + ((place - from[0]) / (to[0] - from[0])) * (to[1] - from[1])));
    });
    if (!passed) {
      const near = x.map((place) => Math.abs(place - to[0]));
      set(near.indexOf(Math.min(...near)), value(to[1]));
    }
    last = to;
  };
  over.addEventListener("pointerdown", (event) => {
    if (locked) return;
    over.setPointerCapture(event.pointerId);
    last = null;
    stroke(event);
  });
  over.addEventListener("pointermove", (event) => {
    if (over.hasPointerCapture(event.pointerId)) stroke(event);
  });

  show();
  const how = "Draw with the pointer; or move to a point with Tab, then up and down with the arrow keys.";
  const element = make("div", {}, make("p", {}, question.says), box("Your prediction", plane), make("p", { class: "dim" }, how));
  return {
    element,
    ready: () => drawn,
    value: () => ({ curve: [...values] }),
    lock: (now) => {
      locked = now;
      plane.classList.toggle("locked", now);
      handles.forEach((handle) => handle.setAttribute("aria-disabled", now));
    },
  };
}
