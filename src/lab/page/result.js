// What was found: the score, charts with their values, the numbers, and why.

import { box, byId, chart, make, number } from "./make.js";

const VERDICTS = {
  holds: ["good", "As expected", ""],
  fails: ["bad", "Not as expected", " The cause may be: "],
  wrong: ["bad", "Wrong", " The cause may be: "],
  "not-here": ["dim", "Not to be seen here", " Because "],
};

export function clear() {
  byId("result").hidden = true;
  byId("found").replaceChildren();
  byId("disturbance").textContent = "";
}

export function disturbance(text) {
  byId("disturbance").textContent = `What looking on costs: ${text}`;
}

export function show({ record, charts, score, doubt }, about) {
  const { findings, noise, knobs, seconds, seed } = record;
  const parts = noise.map((why) => make("p", { class: "note" }, make("strong", {}, "Noisy machine: "), why));
  if (score) parts.push(make("p", { class: "score", id: "score" }, make("strong", {}, `${score.points} of 100. `), score.says));
  else parts.push(make("p", { class: "score", id: "score" }, "No score: this run has not shown any of the answers."));
  findings.charts.forEach((one, n) => {
    parts.push(make("figure", {}, make("figcaption", {}, one.title), box(one.title, chart(charts[n])), values(one)));
  });
  if (findings.trace.lines.length > 0) {
    const trace = make("pre", { tabindex: "0" }, findings.trace.lines.join("\n"));
    parts.push(make("h3", {}, findings.trace.title), trace);
  }
  parts.push(make("h3", {}, "Why"));
  if (doubt) parts.push(make("p", { class: "note" }, doubt));
  parts.push(make("p", { id: "saw" }, findings.saw));
  const numbers = findings.numbers.flatMap((one) => [
    make("dt", {}, one.name),
    make("dd", {}, `${number(one.value)} ${one.unit}`.trim()),
  ]);
  parts.push(make("dl", {}, ...numbers));
  parts.push(make("h3", {}, "The shape"), make("p", {}, `Expected: ${about.shape}. Source: ${about.source}.`));
  parts.push(make("ul", { id: "checks" }, ...findings.checks.map(check)));
  const command = ["gristmill lab run", record.experiment, ...knobs, `--seconds ${seconds}`, `--seed ${seed}`].join(" ");
  parts.push(make("h3", {}, "Again, in a terminal"), make("pre", { tabindex: "0" }, command));
  byId("found").replaceChildren(...parts);
  byId("result").hidden = false;
}

function check({ says, verdict, found, cause }) {
  const [kind, word, because] = VERDICTS[verdict];
  const why = cause ? `${because}${cause}.` : "";
  return make("li", {}, make("strong", { class: kind }, word), `: ${says}. Found: ${found}.${why}`);
}

// A row for each place that was measured.
function values({ x, y, series, names }) {
  const measured = series.filter((one) => one.origin === "measured");
  const places = [...new Set(measured.flatMap((one) => one.points.map((point) => point.x)))].sort((a, b) => a - b);
  const heads = [x.title, ...measured.map((one) => one.name)].map((text, n) =>
    make("th", { scope: "col", class: n > 0 ? "number" : "" }, text),
  );
  const rows = places.map((place) => {
    const cells = measured.map((one) => {
      const point = one.points.find((other) => other.x === place);
      return make("td", { class: "number" }, point ? interval(point.y) : "–");
    });
    return make("tr", {}, make("th", { scope: "row" }, names[place] ?? number(place)), ...cells);
  });
  const caption = make("caption", {}, `${y.title}; medians, with their 95 % intervals, or ranges where rounds are few`);
  const table = make("table", {}, caption, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
  return make("details", {}, make("summary", {}, "The values"), box("The values", table));
}

function interval({ median, low, high }) {
  return low < high ? `${number(median)} (${number(low)} – ${number(high)})` : number(median);
}
