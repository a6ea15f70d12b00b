// The compliance view: shares over time for each source, alerts, drift and accuracy.

import { request, requestJson } from "./api.js";
import { drawShares, STACK } from "./chart.js";
import { byId, LABELS, make, percent, plural, save, showMessage, sign, WORDS } from "./dom.js";
import { axisLabel, chooseRange, formatMinute, formatTime, steps } from "./range.js";
import { drawTrust } from "./trust.js";

const ALL = "All sources";
const UNNAMED = "(no source)";

let drawn = []; // [place, slots] of each chart
let latest = null; // the latest request, so that an older, slower answer does not replace its own

/** Initialise the view. */
export function start() {
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
  new ResizeObserver(redraw).observe(byId("charts"));
}

/** Load the view for the `source` and the day of the `hour` in the query of an alert's link, or as it is set. */
export function open(query) {
  const day = query.get("hour")?.slice(0, 10);
  if (Date.parse(day) > 0) {
    byId("preset").value = "custom";
    for (const field of document.querySelectorAll(".dates")) field.hidden = false;
    byId("from").value = byId("to").value = day;
  }
  if (query.has("source")) {
    const source = query.get("source");
    addSources([source]);
    byId("source").selectedIndex = listedSources().indexOf(source) + 1;
  }
  load();
}

const showState = (text, bad) => showMessage(byId("compliance-state"), text, bad);

/** Call `work` with the query of the chosen range, or show what is wrong with the range. */
async function withRange(work) {
  const chosen = chooseRange(byId("preset").value, byId("from").value, byId("to").value, Date.now());
  if (!chosen) {
    latest = null; // an answer that is still to come is for other dates
    showState("The first day is after the last, or one is missing. Correct them.", true);
    return;
  }
  const { from, to, by } = chosen;
  const query = new URLSearchParams({ from: formatTime(from, by), to: formatTime(to, by), by });
  const { selectedIndex, value } = byId("source");
  if (selectedIndex) query.set("source", value); // the first is all; a source may have its name
  await work(query, chosen);
}

const showError = (error) => showState(
  `${error.message} ${[400, 503].includes(error.status) ? error.detail : error.advice}`, true,
);

const load = () => withRange(async (query, chosen) => {
  const mine = (latest = {});
  showState("Loading …");
  try {
    const found = await requestJson(`compliance?${query}`);
    const alertsQuery = new URLSearchParams(query);
    alertsQuery.delete("by");
    const { alerts, truncated } = await requestJson(`alerts?${alertsQuery}`);
    const report = await requestJson("drift").catch((error) => {
      if (error.status === 404) return null;
      throw error;
    });
    if (mine !== latest) return;
    showState();
    byId("trust").replaceChildren(...drawTrust(report));
    show({ ...found, truncated }, alerts, chosen);
  } catch (error) {
    if (mine === latest) showError(error);
  }
});

const download = () => withRange(async (query) => {
  query.set("format", "csv");
  try {
    save("compliance.csv", await (await request(`compliance?${query}`)).blob()); // its text would lack the BOM
  } catch (error) {
    showError(error);
  }
});

function show({ rows, ...about }, alerts, chosen) {
  const sources = [...new Set([...rows, ...alerts].map(({ source }) => source))].sort();
  addSources(sources);
  drawn = [];
  if (!sources.length) {
    byId("charts").replaceChildren(make("section", { className: "panel" },
      make("h2", {}, "Nothing was seen in this range"),
      make("p", { className: "dim" }, "Choose a longer range, or try again later: counts are updated every hour.")));
    return;
  }
  const of = (source) => (each) => each.source === source;
  const groups = sources.map((source) => [source || UNNAMED, rows.filter(of(source)), alerts.filter(of(source))]);
  if (sources.length > 1) groups.unshift([ALL, rows, alerts]);
  byId("charts").replaceChildren(legend(about, alerts), ...groups.map((group) => panel(...group, chosen)));
  redraw();
}

/** The sources in the drop-down list, of which the first option is all. */
const listedSources = () => [...byId("source").options].slice(1).map(({ value }) => value);

/** Add sources to the drop-down list. */
function addSources(sources) {
  const listed = listedSources();
  for (const value of sources.filter((source) => !listed.includes(source))) {
    byId("source").append(make("option", { value }, value || UNNAMED));
  }
}

function legend({ as_of: asOf, total, missing = [], partial = [], truncated }, alerts) {
  const lines = [
    asOf ? `As of ${new Date(asOf).toLocaleString()}; times below are UTC.` : "",
    "Faces are counted per frame: a person who stays is counted many times.",
    corrected(total),
    total?.people ? `${plural(total.people, "person", "people")} were followed, each counted once per stay: `
      + LABELS.map((label) => `${total[`people_${label}`]} ${WORDS[label].toLowerCase()}`).join(", ") + "." : "",
    missing.length ? `No counts for ${missing.join(", ")}.` : "",
    partial.length ? `Counted before the day was over: ${partial.join(", ")}.` : "",
    truncated ? `Only the newest ${alerts.length.toLocaleString("en")} alerts are shown; `
      + "choose fewer days or one source." : "",
  ];
  return make("div", {},
    make("ul", { className: "keys", "aria-label": "The parts of a bar, from the bottom" },
      ...STACK.map((label) => make("li", {}, sign(label), WORDS[label]))),
    make("p", { className: "dim" }, lines.filter(Boolean).join(" ")));
}

/** The total shares, corrected for the model's confusion. */
function corrected(total) {
  if (total?.corrected_mask == null) return "";
  const shares = LABELS.map((label) => {
    const [value, low, high] = ["", "_low", "_high"].map((end) => percent(total[`corrected_${label}${end}`], 1));
    return `${value} (${low} to ${high}) ${WORDS[label].toLowerCase()}`;
  });
  return `Corrected for the model's known errors: ${shares.join(", ")}; in brackets the 95% interval.`;
}

function panel(title, rows, alerts, chosen) {
  const times = steps(chosen);
  const slots = times.map((time, i) => ({
    time,
    name: axisLabel(time, chosen.by),
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
      : rows.length ? `${plural(all.pictures, "picture")} without a face.` : "Not counted yet; counts are updated every hour."),
    ...alerts.length ? [list(alerts)] : [],
    place,
    make("details", {}, make("summary", {}, "As a table"), table(title, slots)));
}

const within = (moment, first, next = Infinity) => first <= moment && moment < next;

/** A list of alerts, newest first. */
function list(alerts) {
  const state = ({ status }) => (status === "open" ? "Open" : "Ended");
  return make("details", { open: alerts.some(({ status }) => status === "open") },
    make("summary", {}, plural(alerts.length, "alert")),
    make("ul", {}, ...alerts.map((alert) => make("li", {},
      `${formatMinute(alert.started)}: ${alert.labels.no_mask + alert.labels.incorrect} of `
      + `${plural(alert.faces, "face")} without a proper mask (${percent(alert.share)}) at `
      + `${alert.source || UNNAMED}. ${state(alert)}`
      + (alert.ended ? ` at ${formatMinute(alert.ended)}.` : ".")))));
}

function sum(rows) {
  const total = { pictures: 0, faces: 0, mask: 0, incorrect: 0, no_mask: 0, uncertain: 0 };
  for (const row of rows) for (const key of Object.keys(total)) total[key] += row[key];
  return total;
}

function table(title, slots) {
  const head = ["Time (UTC)", "Pictures", "Faces", ...STACK.map((label) => WORDS[label])];
  const lines = slots.filter(({ counts }) => counts.pictures).map(({ time, counts }) => make("tr", {},
    make("th", { scope: "row" }, formatMinute(time)),
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
