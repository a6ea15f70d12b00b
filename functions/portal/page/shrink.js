// Scales a picture down before it is sent.

import { createCanvas, toJpeg } from "./canvas.js";

const MAX_SIDE = 1920; // pixels; the detector's input is much smaller
const MAX_BYTES = 4_400_000; // the API's limit
const ACCEPTED = ["image/jpeg", "image/png", "image/webp"];

/**
 * The picture to send, upright and at most MAX_SIDE pixels a side: {blob, size, scale}, `scale` relative to the file.
 * A file that the API accepts is sent unchanged. A file that the browser cannot read has no `size` and is sent
 * unchanged, so that the API can say what is wrong with it; if it is too large for that, `blob` is null.
 */
export async function shrink(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    return await scaled(file, bitmap);
  } catch {
    return { blob: file.size > MAX_BYTES ? null : file, size: null, scale: 1 };
  } finally {
    bitmap?.close();
  }
}

async function scaled(file, bitmap) {
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const size = { width, height };
  if (scale === 1 && ACCEPTED.includes(file.type) && file.size <= MAX_BYTES) return { blob: file, size, scale };
  const canvas = createCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // JPEG has no transparency
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return { blob: await toJpeg(canvas, 0.9), size, scale };
}
