// Elements and numbers. Whatever comes from the server is text: nothing here reads it as markup, but for charts, which are drawings.

export const SVG = "http://www.w3.org/2000/svg";

export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function shape(tag, attributes = {}) {
  return fill(document.createElementNS(SVG, tag), attributes, []);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

// A chart. It is read as a drawing, so that no script in it would run, and put in only if it is one.
export function chart(text) {
  const parsed = new DOMParser().parseFromString(text.replace("<svg ", `<svg xmlns="${SVG}" `), "image/svg+xml");
  const root = parsed.documentElement;
  if (root.localName !== "svg" || root.querySelector("script, foreignObject, parsererror")) throw new Error("this is no chart");
  return document.importNode(root, true);
}

// What may be wider than the screen moves in a box of its own.
export function box(label, ...children) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, ...children);
}

// Three digits that count.
export function number(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e4) return String(value);
  const [by, unit] = [[1e9, " G"], [1e6, " M"], [1e3, " k"], [1, ""]].find(([by]) => Math.abs(value) >= 0.9995 * by) ?? [1, ""];
  const scaled = value / by;
  const size = Math.abs(scaled);
  return scaled.toFixed(size < 0.9995 ? 3 : size < 9.995 ? 2 : size < 99.95 ? 1 : 0) + unit;
}

export function percent(share) {
  return `${Math.round(100 * share)} %`;
}
