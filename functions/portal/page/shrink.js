// A file to what is sent of it.

import { createCanvas, toJpeg } from "./canvas.js";

const MAX_SIDE = 1920; // pixels: what faces are found in is much smaller
const MAX_BYTES = 4_400_000; // what the API takes
const ACCEPTED = ["image/jpeg", "image/png", "image/webp"];

/**
 * The picture to send, upright and at most MAX_SIDE pixels wide and high: {blob, size, scale}, `scale` to the original.
 * What the API takes as it is goes as it is. What the browser cannot read has no `size`, and goes as it is, too, for
 * the API says what is wrong with it; unless it is too large, then `blob` is null.
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
  context.fillStyle = "#fff"; // JPEG knows no transparency
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return { blob: await toJpeg(canvas, 0.9), size, scale };
}
