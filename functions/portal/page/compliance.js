// The view of compliance: shares over time for each source, and whether the model can be trusted still.

import { request, requestJson } from "./api.js";
import { drawShares, STACK } from "./chart.js";
import { byId, LABELS, make, percent, plural, save, sign, tell, WORDS } from "./dom.js";
import { choose, name, spell, steps } from "./range.js";
import { drawTrust } from "./trust.js";

const ALL = "All sources";
const UNNAMED = "(no source told)";

let drawn = []; // [place, slots] of each chart
let latest = null; // what was asked last, so that a slow answer does not overtake a later one

/**
 * Make the view work, and show what there is: of the `source` and around the `hour` that an alert's link asks for, or
 * of all sources in the last days.
 */
export function start(asked) {
  byId("preset").addEventListener("change", () => {
    const custom = byId("preset").value === "custom";
    for (const field of document.querySelectorAll(".dates")) field.hidden = !custom;
    if (!custom) load();
  });
  byId("range").addEventListener("submit", (event) => {
    event.preventDefault();
    load();
  });
  byId("source").addEventListener("change", load);
  byId("csv").addEventListener("click", download);
  const today = new Date().toISOString().slice(0, 10);
  byId("from").value = byId("to").value = today;
  follow(asked);
  new ResizeObserver(redraw).observe(byId("charts"));
  load();
}

function follow(asked) {
  const day = asked.get("hour")?.slice(0, 10);
  if (Date.parse(day) > 0) {
    byId("preset").value = "custom";
    for (const field of document.querySelectorAll(".dates")) field.hidden = false;
    byId("from").value = byId("to").value = day;
  }
  if (asked.has("source")) {
    offer([asked.get("source")]);
    byId("source").value = asked.get("source");
  }
}

const say = (text, bad) => tell(byId("compliance-state"), text, bad);

/** Call `work` with the query of the chosen range, and say it where that fails. */
async function withRange(work) {
  const chosen = choose(byId("preset").value, byId("from").value, byId("to").value, Date.now());
  if (!chosen) {
    say("The first day comes after the last, or one is missing. Correct them.", true);
    return;
  }
  const { from, to, by } = chosen;
  const query = new URLSearchParams({ from: spell(from, by), to: spell(to, by), by });
  const source = byId("source").value;
  if (source !== ALL) query.set("source", source);
  await work(query, chosen);
}

const sayWhy = (error) => say(`${error.message} ${[400, 503].includes(error.status) ? error.detail : error.advice}`, true);

const load = () => withRange(async (query, chosen) => {
  const mine = (latest = {});
  say("Being fetched …");
  try {
    const found = await requestJson(`compliance?${query}`);
    const told = new URLSearchParams(query);
    for (const name of ["by", "tz"]) told.delete(name);
    const { alerts } = await requestJson(`alerts?${told}`);
    const report = await requestJson("drift").catch((error) => {
      if (error.status === 404) return null;
      throw error;
    });
    if (mine !== latest) return;
    say();
    byId("trust").replaceChildren(...drawTrust(report));
    show(found, alerts, chosen);
  } catch (error) {
    if (mine === latest) sayWhy(error);
  }
});

const download = () => withRange(async (query) => {
  query.set("format", "csv");
  try {
    save("compliance.csv", await (await request(`compliance?${query}`)).blob()); // its text would lack the BOM
  } catch (error) {
    sayWhy(error);
  }
});

function show({ rows, ...about }, alerts, chosen) {
  const sources = [...new Set([...rows, ...alerts].map(({ source }) => source))].sort();
  offer(sources);
  drawn = [];
  if (!sources.length) {
    byId("charts").replaceChildren(make("section", { className: "panel" },
      make("h2", {}, "Nothing was seen in this range"),
      make("p", { className: "dim" }, "Choose a longer one, or look again later: sums are made every hour.")));
    return;
  }
  const of = (source) => (each) => each.source === source;
  const groups = sources.map((source) => [source || UNNAMED, rows.filter(of(source)), alerts.filter(of(source))]);
  if (sources.length > 1) groups.unshift([ALL, rows, alerts]);
  byId("charts").replaceChildren(legend(about), ...groups.map((group) => panel(...group, chosen)));
  redraw();
}

/** Add the sources there are to the choice. */
function offer(sources) {
  const choice = byId("source");
  const known = [...choice.options].map(({ value }) => value);
  for (const value of sources.filter((source) => !known.includes(source))) {
    choice.append(make("option", { value }, value || UNNAMED));
  }
}

function legend({ as_of: asOf, total, missing = [], partial = [] }) {
  const lines = [
    asOf ? `As of ${new Date(asOf).toLocaleString()}; times below are UTC.` : "",
    "Faces are faces in frames: whoever stays before a camera is many of them.",
    corrected(total),
    total?.people ? `${plural(total.people, "person", "people")} were followed, each counted once a stay: `
      + LABELS.map((label) => `${total[`people_${label}`]} ${WORDS[label].toLowerCase()}`).join(", ") : "",
    missing.length ? `Nothing was counted of ${missing.join(", ")}.` : "",
    partial.length ? `Not over when last counted: ${partial.join(", ")}.` : "",
  ];
  return make("div", {},
    make("ul", { className: "keys", "aria-label": "The parts of a bar, from below" },
      ...STACK.map((label) => make("li", {}, sign(label), WORDS[label]))),
    make("p", { className: "dim" }, lines.filter(Boolean).join(" ")));
}

/** The shares of all of it without the mistakes that the model is known to make. */
function corrected(total) {
  if (total?.corrected_mask == null) return "";
  const shares = LABELS.map((label) => {
    const [value, low, high] = ["", "_low", "_high"].map((end) => percent(total[`corrected_${label}${end}`], 1));
    return `${value} (${low} to ${high}) ${WORDS[label].toLowerCase()}`;
  });
  return `Without the mistakes that the model is known to make: ${shares.join(", ")}; in brackets the 95% interval.`;
}

function panel(title, rows, alerts, chosen) {
  const times = steps(chosen);
  const slots = times.map((time, i) => ({
    time,
    name: name(time, chosen.by),
    counts: sum(rows.filter((row) => Date.parse(row.time) === time)),
    alerts: alerts.filter(({ started }) => within(Date.parse(started), time, times[i + 1])),
  }));
  const all = sum(rows);
  const shares = LABELS.map((label) => `${percent(all[label] / all.faces, 1)} ${WORDS[label].toLowerCase()}`);
  const place = make("div");
  drawn.push([place, slots]);
  return make("section", { className: "panel", "aria-label": title },
    make("h2", {}, title),
    make("p", {}, all.faces
      ? `${plural(all.faces, "face")} in frames: ${shares.join(", ")}`
      : rows.length ? `${plural(all.pictures, "picture")} without a face.` : "Not summed up yet; that happens every hour."),
    ...alerts.length ? [list(alerts)] : [],
    place,
    make("details", {}, make("summary", {}, "As a table"), table(title, slots)));
}

const within = (moment, first, next = Infinity) => first <= moment && moment < next;

/** What was told, the newest first. */
function list(alerts) {
  const state = ({ status }) => (status === "open" ? "Masks are missing now" : "It is over");
  return make("details", { open: alerts.some(({ status }) => status === "open") },
    make("summary", {}, plural(alerts.length, "alert")),
    make("ul", {}, ...alerts.map((alert) => make("li", {},
      `${alert.started.slice(0, 16).replace("T", " ")}: ${alert.labels.no_mask + alert.labels.incorrect} of `
      + `${plural(alert.faces, "face")} without a proper mask (${percent(alert.share)}) at `
      + `${alert.source || UNNAMED}. ${state(alert)}`
      + (alert.ended ? ` since ${alert.ended.slice(0, 16).replace("T", " ")}.` : ".")))));
}

function sum(rows) {
  const total = { pictures: 0, faces: 0, mask: 0, incorrect: 0, no_mask: 0, uncertain: 0 };
  for (const row of rows) for (const key of Object.keys(total)) total[key] += row[key];
  return total;
}

function table(title, slots) {
  const head = ["Time (UTC)", "Pictures", "Faces", ...STACK.map((label) => WORDS[label])];
  const lines = slots.filter(({ counts }) => counts.pictures).map(({ time, counts }) => make("tr", {},
    make("th", { scope: "row" }, spell(time, "minute").replace("T", " ")),
    ...["pictures", "faces", ...STACK].map((key) => make("td", {}, String(counts[key])))));
  return make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": `${title} as a table` },
    make("table", {}, make("caption", {}, `${title}: faces with each label`),
      make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, ...lines)));
}

function redraw() {
  for (const [place, slots] of drawn) {
    const width = place.clientWidth;
    if (width && place.firstChild?.viewBox.baseVal.width !== width) place.replaceChildren(drawShares(slots, width));
  }
}
