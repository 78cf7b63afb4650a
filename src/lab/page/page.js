// Predict, run, see why.

import * as code from "./code.js";
import * as lanes from "./lanes.js";
import * as result from "./result.js";
import { byId, make } from "./make.js";
import { knobs, time } from "./knobs.js";
import { prediction } from "./predict.js";

// Between two questions what has happened: often while somebody watches, else so seldom that it does not disturb.
const OFTEN = 125;
const SELDOM = 400;
// For so long it is asked again before the lab is held to have ended; and between two tries.
const PATIENCE = 3000;
const AGAIN = 200;

let lab;
let experiment;
let predicted;
let set;
let seconds;
let locked = false;
// The number of the run under way.
let running = null;

function trouble(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = text === "";
}

function state(text) {
  byId("state").textContent = text;
}

const SILENT = "The lab did not answer. Try once more.";
const ENDED = "The lab has ended. Start it again, and open its new address.";

const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));

async function ask(path, body) {
  const how = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const whole = async (response) => [response.ok, await response.text()];
  const [ok, text] = await fetch(path, how).then(whole).catch(() => {
    throw new Error(SILENT);
  });
  if (!ok) throw new Error(text.trim());
  return JSON.parse(text);
}

// What does no harm if it is asked twice. One connection that fails is not yet the end: others on this machine can take its place.
async function insist(path, body) {
  const end = performance.now() + PATIENCE;
  for (;;) {
    try {
      return await ask(path, body);
    } catch (error) {
      if (error.message !== SILENT) throw error;
      if (performance.now() > end) throw new Error(ENDED);
    }
    await pause(AGAIN);
  }
}

// Which of the buttons can be used now.
function refresh() {
  byId("lock").hidden = locked;
  byId("lock").disabled = locked || !predicted.ready();
  byId("again").hidden = !locked;
  byId("again").disabled = running !== null;
  byId("run").disabled = !locked || running !== null;
  byId("stop").hidden = running === null;
  byId("progress").hidden = running === null;
  byId("set").disabled = locked;
  const held = experiment.knobs.length > 0 ? " The knobs are locked with it: \u201cPredict again\u201d frees them." : "";
  byId("locked").textContent = locked ? `It is locked.${held}` : "";
  byId("moved").textContent = set.usual() ? "" : `You have moved knobs: where the question names other numbers, predict for ${set.set().join(", ")}.`;
}

function predictAnew() {
  predicted = prediction(experiment.question, refresh);
  byId("question").replaceChildren(predicted.element);
  locked = false;
  result.clear();
  lanes.reset();
  state("Predict first.");
  refresh();
}

function open(name) {
  experiment = lab.experiments.find((one) => one.about.name === name) ?? lab.experiments[0];
  const { about } = experiment;
  for (const link of byId("experiments").querySelectorAll("a")) {
    if (link.hash === `#${about.name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("title").textContent = about.title;
  byId("hypothesis").textContent = about.hypothesis;
  const few = lab.cores < about.cores ? ` It needs ${about.cores} CPUs to convince; there are ${lab.cores}.` : "";
  byId("metric").textContent = `Measured: ${about.metric}.${few}`;
  set = knobs(byId("set"), experiment.knobs, refresh);
  seconds = time(byId("time"));
  trouble("");
  predictAnew();
  code.open(experiment.steps);
}

async function run() {
  const mode = document.querySelector("input[name=mode]:checked").value;
  trouble("");
  result.clear();
  lanes.reset();
  byId("progress").value = 0;
  const about = experiment.about;
  try {
    const order = { experiment: about.name, knobs: set.set(), seconds: seconds(), mode, prediction: predicted.value() };
    running = (await ask("run", order)).run;
    state(mode === "watch" ? "It runs, and is watched." : "It is measured. Nothing is drawn meanwhile.");
    refresh();
    const why = await follow(about, mode === "watch");
    state(why === null ? "Done." : "");
    if (why !== null) trouble(why === "stopped" ? "It was stopped before its end." : `It could not go on: ${why}`);
    lanes.finish(why === null);
    if (why === null) {
      code.all();
      byId("result-heading").focus();
    }
  } catch (error) {
    state("");
    trouble(error.message);
  }
  running = null;
  refresh();
}

// Until the end: why it has ended, null if all was done.
async function follow(about, watch) {
  for (let since = 0; ; ) {
    const { events, next } = await insist(`events?run=${running}&since=${since}`);
    since = next;
    for (const event of events) {
      if ("end" in event) return event.end;
      if (event.progress !== undefined) progress(event);
      if (event.lanes) lanes.add(event.lanes, watch);
      if (event.found) result.show(event.found, about);
      if (event.disturbance) result.disturbance(event.disturbance);
    }
    await pause(watch ? OFTEN : SELDOM);
  }
}

function progress({ progress: done, stage }) {
  byId("progress").value = done;
  if (stage === 1) state("Measured. The same for a few seconds more, watched.");
}

async function start() {
  lab = await insist("lab");
  const cpus = lab.cores === 1 ? "1 CPU" : `${lab.cores} CPUs`;
  byId("machine").textContent = `gristmill ${lab.version} on this machine with ${cpus}. Predict, run, and see why.`;
  const links = lab.experiments.map(({ about }) => make("li", {}, make("a", { href: `#${about.name}` }, about.title)));
  byId("experiments").replaceChildren(...links);
  byId("lock").addEventListener("click", () => {
    locked = true;
    predicted.lock(true);
    state("Now run it.");
    refresh();
    byId("run").focus();
  });
  byId("again").addEventListener("click", () => {
    predictAnew();
    byId("predict-heading").focus();
  });
  byId("run").addEventListener("click", run);
  byId("stop").addEventListener("click", () => insist("stop", {}).catch((error) => trouble(error.message)));
  byId("knobs").addEventListener("submit", (event) => event.preventDefault());
  // One at a time: another experiment is opened when this one has ended.
  addEventListener("hashchange", () => {
    const name = location.hash.slice(1);
    if (running === null) open(name);
    else if (name !== experiment.about.name) {
      trouble("Stop the run first, then open another experiment.");
      history.replaceState(null, "", `#${experiment.about.name}`);
    }
  });
  addEventListener("pagehide", () => {
    if (running !== null) navigator.sendBeacon("stop");
  });
  open(location.hash.slice(1));
}

start().catch((error) => trouble(error.message));
