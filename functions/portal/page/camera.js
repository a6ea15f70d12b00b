// The camera view: sends frames of a camera or a video one at a time, follows people, and shows alerts.

import { predict, ApiError } from "./api.js";
import { byId, make, pause, percent, plural, showMessage, sign, WORDS } from "./dom.js";
import { drawBoxes } from "./draw.js";
import { cameras, close, grab, VideoError, openCamera, play, stop } from "./frames.js";
import { answered, interval, refused, START } from "./pace.js";
import { settings, start as startSettings } from "./settings.js";
import { beep, enableSound } from "./sound.js";
import { follow, NOBODY, tally, withoutMask } from "./track.js";

const SOURCE = "page-camera"; // distinguishes these records from those of the site's cameras
const LINGER = 0.3; // seconds that a box stays after its face was last seen
const QUIET = 5; // seconds between two announcements to screen readers

const video = byId("video");
const seconds = () => performance.now() / 1000;

let run = null; // the state of the running camera or video; null while none runs
let opening = null; // the latest attempt to start, so that an older one that succeeds late is dropped

/** Initialise the view. */
export function start() {
  startSettings();
  byId("start").addEventListener("click", startCamera);
  byId("devices").addEventListener("change", startCamera);
  byId("video-file").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    if (file) begin(() => file);
    target.value = "";
  });
  byId("pause").addEventListener("click", () => setPaused(!run.paused));
  byId("stop").addEventListener("click", () => end());
  byId("sound").addEventListener("change", ({ target }) => target.checked && enableSound());
  video.addEventListener("ended", () => end("The video has ended."));
  video.addEventListener("resize", () => {
    if (video.videoWidth) byId("live").style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`;
  });
  navigator.mediaDevices?.addEventListener("devicechange", listCameras);
}

function startCamera() {
  const disconnected = () => end("The camera was disconnected. Connect it, then start again.", true);
  begin(() => openCamera(byId("devices").value, disconnected));
}

async function begin(open) {
  if (byId("sound").checked) enableSound(); // a browser restores the box without an event
  end("Waiting for the picture …");
  const mine = (opening = {});
  try {
    const source = await open();
    if (opening !== mine) {
      stop(source); // the user started something else before the permission was granted
      return;
    }
    await play(video, source);
  } catch (error) {
    if (!(error instanceof VideoError)) throw error;
    if (opening === mine) end(error.message, true);
  }
  if (opening !== mine) return;
  showMessage(byId("state"));
  run = {
    name: crypto.getRandomValues(new Uint32Array(1))[0].toString(36), // makes track ids unique across runs
    known: NOBODY, pace: START, paused: false, abort: new AbortController(),
    idle: 0, // seconds in which nothing was watched
    times: [], // of the last answers
    alerted: new Set(), // ids of people for whom the sound was played
    announced: -QUIET, // time of the last announcement
  };
  showControls();
  listCameras();
  watch(run);
}

/** Stop, release the camera and show the reason. The counts stay. */
function end(why = "", bad = false) {
  if (run && !run.paused && !isLooking(run)) document.title = "Camera stopped – MaskWatch"; // who looks sees `why`
  run?.abort.abort();
  run = opening = null;
  close(video);
  showNobody();
  showControls();
  showMessage(byId("state"), why, bad);
}

function showNobody() {
  byId("marks").replaceChildren();
  byId("people").replaceChildren();
  showAlert([]);
}

function setPaused(paused) {
  run.paused = paused;
  if (paused) video.pause();
  else video.play();
  showControls();
}

function showControls() {
  byId("idle").hidden = Boolean(run);
  byId("pause").disabled = byId("stop").disabled = !run;
  byId("pause").textContent = run?.paused ? "Resume" : "Pause";
}

async function listCameras() {
  const found = await cameras();
  const used = video.srcObject?.getVideoTracks()[0]?.getSettings().deviceId;
  byId("devices-field").hidden = found.length < 2;
  byId("devices").replaceChildren(...found.map(({ deviceId, label }, i) =>
    make("option", { value: deviceId, selected: deviceId === used }, label || `Camera ${i + 1}`)));
}

async function watch(mine) {
  while (mine === run) {
    if (!mine.paused) document.title = `${isLooking(mine) ? "Camera" : "Camera not watched"} – MaskWatch`;
    if (!isLooking(mine) || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
      await idle(mine, 100);
      continue;
    }
    const started = performance.now();
    try {
      const frame = await grab(video, mine.pace.side);
      if (!isLooking(mine)) continue;
      const answer = await predict(frame, SOURCE, { signal: mine.abort.signal, track: largestTrack(mine) });
      if (mine !== run) return;
      take(mine, performance.now() - started, answer);
    } catch (error) {
      if (mine !== run) return;
      if (!(error instanceof ApiError) || !error.retryable) {
        end(`${error.message} ${error.advice ?? "Start again."}`, true);
        return;
      }
      const { pace, wait } = refused(mine.pace, error);
      mine.pace = pace;
      showNobody(); // what was seen before may be over
      showMessage(byId("state"), `${error.message} Trying again in ${Math.ceil(wait)} s.`, true);
      await idle(mine, wait * 1000);
    }
    await pause(Math.max(0, interval(mine.pace, settings.maxRate) - (performance.now() - started)));
  }
}

/** The track id of the largest face, which is likely the largest in the next frame; null while nobody is in view. */
function largestTrack(mine) {
  const area = ({ box: { width, height } }) => width * height;
  const now = seconds() - mine.idle;
  const inView = mine.known.tracks.filter(({ last, seen }) => seen >= settings.sightings && now - last <= settings.patience);
  const largest = inView.reduce((a, b) => (a && area(a) >= area(b) ? a : b), null);
  return largest && `${mine.name}-${largest.id}`;
}

function isLooking(mine) {
  return mine === run && !mine.paused && !document.hidden && !byId("camera").hidden;
}

/** Wait without advancing the clock of the people in view, since nobody is being watched. */
async function idle(mine, ms) {
  const from = seconds();
  await pause(ms);
  mine.idle += seconds() - from;
}

function take(mine, ms, answer) {
  if (mine.pace.failures) showMessage(byId("state"));
  mine.pace = answered(mine.pace, ms);
  if (mine.paused) return;
  const now = seconds() - mine.idle;
  const { width, height } = answer.image;
  const faces = answer.faces.map(({ box, probabilities }) => ({
    probabilities,
    box: { left: box.left / width, top: box.top / height, width: box.width / width, height: box.height / height },
  }));
  mine.known = follow(mine.known, faces, now, settings);
  mine.times = [...mine.times.filter((time) => now - time < 2), now];
  showPeople(mine, now);
  byId("sent").textContent = `${width} × ${height}`;
  byId("took").textContent = `${Math.round(ms)} ms`;
  const [first] = mine.times;
  byId("rate").textContent = mine.times.length > 1 ? ((mine.times.length - 1) / (now - first)).toFixed(1) : "–";
}

function showPeople(mine, now) {
  const inView = mine.known.tracks.filter(({ last }) => now - last < LINGER);
  const marks = inView.map(({ id, box, label, probabilities }) => (
    { number: id, box, label, confidence: probabilities[label] }
  ));
  drawBoxes(byId("marks"), marks, { width: 1, height: 1 });
  const lines = marks.map(({ number, label, confidence }) =>
    make("li", {}, sign(label), `${number} ${WORDS[label]}`, make("span", { className: "num" }, percent(confidence))));
  byId("people").replaceChildren(...lines);
  const counts = tally(mine.known, settings);
  for (const [name, count] of Object.entries(counts)) byId(`count-${name}`).textContent = count;
  const unmasked = withoutMask(mine.known, now, settings.alertAfter, settings);
  showAlert(unmasked);
  if (byId("sound").checked && unmasked.some(({ id }) => !mine.alerted.has(id))) beep();
  mine.alerted = new Set(unmasked.map(({ id }) => id));
  if (now - mine.announced >= QUIET) {
    mine.announced = now;
    const people = marks.map(({ number, label }) => `${number} ${WORDS[label].toLowerCase()}`).join(", ");
    update("announce", `${people || "Nobody"} in view. ${plural(counts.people, "person", "people")} so far.`);
  }
}

const lastTexts = {}; // by id; the browser may have translated what the element has

/** Set the text of a live region only if it changed, since screen readers read every assignment aloud. */
function update(id, text) {
  if (lastTexts[id] !== text) byId(id).textContent = lastTexts[id] = text;
}

function showAlert(unmasked) {
  const ids = unmasked.map(({ id }) => id).join(", ");
  const noun = unmasked.length > 1 ? "people" : "person";
  update("alert", ids && `No mask for more than ${settings.alertAfter} s: ${noun} ${ids}`);
  byId("live").classList.toggle("alarmed", unmasked.length > 0);
}
