// Frames of a camera or a video file, which play in the page's only <video>.

import { createCanvas, toJpeg } from "./canvas.js";

const REASONS = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it next to the address, then start again.",
  NotFoundError: "No camera was found. Connect one, or choose a video file.",
  NotReadableError: "The camera is in use by something else. Close that, then start again.",
  OverconstrainedError: "That camera is gone. Choose another one.",
};

/** A camera or video cannot be played; the message says what to do. */
export class VideoError extends Error {}

/** Open the camera with this id, or any; `ended` is called when it is disconnected. Throws VideoError. */
export async function openCamera(deviceId, ended) {
  if (!navigator.mediaDevices) throw new VideoError("Browsers allow cameras only on https:// and localhost.");
  const size = { width: { ideal: 1280 }, height: { ideal: 720 } };
  const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: { ideal: "environment" } };
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { ...size, ...which } });
    stream.getTracks()[0].addEventListener("ended", ended);
    return stream;
  } catch (error) {
    throw new VideoError(REASONS[error.name] ?? `The camera cannot be used: ${error.message}`);
  }
}

/** Show a stream or a file. Throws VideoError. */
export async function play(video, source) {
  if (source instanceof MediaStream) video.srcObject = source;
  else video.src = URL.createObjectURL(source);
  try {
    await video.play();
  } catch {
    throw new VideoError(`${source.name ?? "The camera"} cannot be played here. Choose an MP4 or WebM video.`);
  }
}

export const stop = (stream) => stream.getTracks().forEach((track) => track.stop());

/** Release the camera or file. */
export function close(video) {
  if (video.srcObject) stop(video.srcObject);
  video.srcObject = null;
  if (video.src) {
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
    video.load();
  }
}

/** The available cameras; they have names only after the user has allowed one. */
export async function cameras() {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return all.filter(({ kind }) => kind === "videoinput");
}

const canvas = createCanvas(1, 1);

/** Encode the current frame as a JPEG with at most `side` pixels per side. */
export function grab(video, side) {
  const scale = Math.min(1, side / Math.max(video.videoWidth, video.videoHeight));
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  const context = canvas.getContext("2d", { alpha: false });
  context.imageSmoothingQuality = "high"; // as for pictures: without it, a large frame loses the nose line
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  return toJpeg(canvas, 0.8);
}
