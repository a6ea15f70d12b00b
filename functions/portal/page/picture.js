// The picture view: scores files and shows a card with the prediction for each.

import { ApiError, predict, request } from "./api.js";
import { asCsv } from "./csv.js";
import { byId, LABELS, make, pause, percent, plural, save, sign, WORDS } from "./dom.js";
import { drawBoxes, drawProbabilities } from "./draw.js";
import { droppedFiles } from "./drop.js";
import { shrink } from "./shrink.js";

const CONCURRENCY = 3;
const MAX_ATTEMPTS = 4; // for retryable refusals, with exponential backoff
const MAX_HEIGHT = 560; // CSS pixels of a picture
const SOURCE = "page"; // distinguishes these records from those of cameras

const waiting = [];
let results = []; // newest first
let running = 0;

/** Initialise the view. */
export function start() {
  for (const id of ["choose", "photograph"]) {
    byId(id).addEventListener("change", ({ target }) => {
      add(target.files);
      target.value = ""; // so that the same file may be chosen again
    });
  }
  takeDropsAndPastes();
  byId("export").addEventListener("click", () => {
    const done = results.filter(({ answer, refusal }) => answer || refusal);
    save("maskwatch.csv", new Blob([asCsv(done.reverse())], { type: "text/csv" }));
  });
  byId("again").addEventListener("click", () => {
    results.filter(mayRetry).reverse().forEach(retry);
    byId("export").focus(); // the button is gone
  });
  byId("clear").addEventListener("click", clear);
}

function takeDropsAndPastes() {
  const shown = () => !byId("picture").hidden;
  const dragging = (on) => document.body.classList.toggle("dragging", on && shown());
  addEventListener("dragover", (event) => {
    event.preventDefault(); // otherwise the browser would open the file in place of the page
    dragging(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? dragging(false));
  addEventListener("drop", (event) => {
    event.preventDefault();
    dragging(false);
    if (shown()) droppedFiles(event.dataTransfer).then(add, addRefused);
  });
  addEventListener("paste", (event) => shown() && add(event.clipboardData.files));
}

function add(files) {
  for (const file of files) {
    const card = make("li", { className: "card" });
    const result = { name: file.name, file, time: new Date(), card, abort: new AbortController() };
    results.unshift(result);
    waiting.push(result);
    byId("results").prepend(result.card);
    show(result);
  }
  showTotals();
  while (running < CONCURRENCY && waiting.length) work();
}

/** Show why a dropped folder could not be read. */
function addRefused(error) {
  const card = make("li", { className: "card" });
  const result = { name: "Dropped folder", time: new Date(), refusal: asRefusal(error), card };
  results.unshift(result);
  byId("results").prepend(card);
  show(result);
  showTotals();
}

/** The error to show; the page's own faults are logged. */
function asRefusal(error) {
  if (error instanceof ApiError) return error;
  console.error(error);
  return new ApiError("failed");
}

async function work() {
  running += 1;
  while (waiting.length) {
    const result = waiting.shift();
    try {
      await score(result);
    } catch (error) {
      if (result.abort.signal.aborted) continue; // it was cleared
      result.refusal = asRefusal(error);
      if (error.kind === "forbidden") refuseWaiting(error); // the user did not enter a key, and need not be asked for each
    }
    show(result);
    showTotals();
  }
  running -= 1;
}

function refuseWaiting(refusal) {
  for (const result of waiting.splice(0)) {
    result.refusal = refusal;
    show(result);
  }
}

/** Add the answer to a result. Throws an ApiError; until the last attempt has failed, the result has no refusal. */
async function score(result) {
  if (!result.file.size) throw new ApiError("empty");
  const { blob, scale, size } = await shrink(result.file);
  Object.assign(result, { scale, size, sent: blob, time: new Date() });
  if (!blob) throw new ApiError("too-large");
  for (let tried = 1; ; tried += 1) {
    const started = performance.now();
    try {
      result.answer = await predict(blob, SOURCE, { signal: result.abort.signal });
      result.took = performance.now() - started;
      return;
    } catch (error) {
      if (!error.retryable || tried === MAX_ATTEMPTS) throw error;
      await pause(1000 * Math.max(error.after, 2 ** tried / 4) * (1 + Math.random() / 2));
      result.abort.signal.throwIfAborted();
    }
  }
}

const mayRetry = ({ refusal }) => refusal?.retryable || ["forbidden", "quota-exceeded"].includes(refusal?.kind);

function retry(result) {
  result.refusal = null;
  waiting.push(result);
  show(result);
  showTotals();
  if (running < CONCURRENCY) work();
}

function clear() {
  waiting.length = 0;
  for (const { preview, abort } of results) {
    abort?.abort();
    URL.revokeObjectURL(preview);
  }
  results = [];
  byId("results").replaceChildren();
  showTotals();
  byId("choose").focus();
}

function showTotals() {
  const answers = results.flatMap(({ answer }) => answer ?? []);
  const count = (label) => answers.reduce((sum, { summary }) => sum + summary[label], 0);
  const refused = results.filter(({ refusal }) => refusal).length;
  const done = answers.length + refused;
  byId("totals").textContent = [
    (done < results.length ? `${done} of ` : "") + plural(results.length, "picture"),
    plural(count("faces"), "face"),
    ...LABELS.filter(count).map((label) => `${count(label)} ${WORDS[label].toLowerCase()}`),
    ...(refused ? [`${refused} not scored`] : []),
  ].join(" · ");
  byId("session").hidden = !results.length;
  byId("again").hidden = results.filter(mayRetry).length < 2;
  byId("legend").hidden = results.length > 0;
  byId("drop").classList.toggle("slim", results.length > 0);
}

function show(result) {
  const { answer, refusal, size, card } = result;
  const words = make("div", { className: "words" }, make("h2", {}, result.name));
  if (answer) words.append(...describe(result));
  else if (refusal) words.append(refused(result));
  else words.append(make("p", { className: "busy" }, "Scoring …"));
  card.classList.toggle("bare", !size);
  card.replaceChildren(...(size ? [make("div", { className: "stage" }, frame(result, words))] : []), words);
}

function frame(result, words) {
  const { answer, size: { width, height } } = result;
  result.preview ??= URL.createObjectURL(result.sent);
  const layer = make("div", { className: "overlay", "aria-hidden": "true" });
  if (answer) {
    drawBoxes(layer, answer.faces.map((face, i) => ({ ...face, number: i + 1 })), answer.image);
    words.querySelectorAll(".faces > li").forEach((line, i) => {
      const light = ({ type }) => layer.children[i]?.classList.toggle("lit", type === "pointerenter");
      line.addEventListener("pointerenter", light);
      line.addEventListener("pointerleave", light);
    });
  }
  const maxWidth = Math.round((MAX_HEIGHT * width) / height);
  const style = { aspectRatio: `${width} / ${height}`, width: `min(100%, ${maxWidth}px)` };
  return make("div", { className: "frame", style }, make("img", { src: result.preview, alt: result.name }), layer);
}

function refused(result) {
  const { message, advice, detail, instance } = result.refusal;
  const said = [detail, instance].filter(Boolean).join(" ");
  const box = make("div", { className: "refused" }, make("strong", {}, message), advice);
  if (said) box.append(make("details", {}, make("summary", {}, "What the service said"), said));
  if (mayRetry(result)) {
    const onclick = () => {
      retry(result);
      result.card.tabIndex = -1;
      result.card.focus(); // the button is gone, and keyboard users would start again at the top
    };
    box.append(make("button", { type: "button", className: "quiet", onclick }, "Try again"));
  }
  return box;
}

function describe({ answer, took, time }) {
  const { faces, summary } = answer;
  const parts = [...LABELS, "uncertain"].filter((label) => summary[label]);
  const found = parts.map((label) => `${summary[label]} ${WORDS[label].toLowerCase()}`).join(", ");
  const lines = (faces.length ? faces : [answer]).map(({ box, label, confidence, probabilities }, i) => {
    const name = `${box ? `${i + 1} ` : ""}${WORDS[label]}, ${percent(confidence, 1)}`;
    return make("li", {}, make("h3", {}, sign(label), name), drawProbabilities(probabilities));
  });
  return [
    make("p", { className: "summary" },
      faces.length ? `${plural(faces.length, "face")}: ${found}` : "No face found: the whole picture was scored."),
    // A long list scrolls, and a scrolling area must be focusable for keyboard users.
    make("ol", { className: "faces", "aria-label": "Largest first", ...(lines.length > 3 && { tabIndex: 0 }) },
      ...lines),
    make("p", { className: "meta" },
      `Model ${answer.model_version} · ${Math.round(took)} ms · ${time.toLocaleTimeString()}`),
    correction(answer),
  ];
}

/** Whether a prediction belongs to the audit sample, from which accuracy is estimated: 1%, by the id's first 32 bits. */
const inAuditSample = (id) => parseInt(id.slice(0, 8), 16) < 0.01 * 2 ** 32;

function correction({ prediction_id: id, faces }) {
  const audit = inAuditSample(id);
  const status = make("p", { className: "dim", role: "status" });
  let sent = Promise.resolve(); // one label after the other, so that the last one counts
  const choices = LABELS.map((label) => (
    make("button", { type: "button", className: "quiet", onclick: sendLabel(label) }, WORDS[label])
  ));
  return make("details", { className: "wrong", open: audit },
    make("summary", {}, audit ? "Audit sample: right or wrong?" : "Right or wrong?"),
    ...(audit ? [make("p", {}, "Please label it even if it is right: accuracy is estimated from the audit sample.")] : []),
    make("p", {}, faces.length > 1 ? "The largest face is actually …" : "It is actually …"),
    make("div", { className: "row" }, ...choices), status);

  function sendLabel(label) {
    return () => {
      sent = sent.then(async () => {
        try {
          await request("feedback", { body: JSON.stringify({ prediction_id: id, label, audit }), type: "application/json" });
          status.textContent = `Thank you. “${WORDS[label]}” is saved and counts towards the accuracy.`;
        } catch (error) {
          status.textContent = `${error.message} ${error.advice}`;
        }
      });
    };
  }
}
