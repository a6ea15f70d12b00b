// Scales a picture down where the API does not take it as it is. Browsers hide damage, so the copy of a damaged picture
// looks sound: whatever may be sent unchanged is.

import { ApiError } from "./api.js";
import { createCanvas, toJpeg } from "./canvas.js";

const MAX_SIDE = 1920; // pixels of a copy; the detector's input is much smaller
const MAX_BYTES = 4_400_000; // the API's limit
const MAX_PIXELS = 12_200_000; // that the API takes in any file of MAX_BYTES
const ACCEPTED = /^(\xff\xd8\xff|\x89PNG|RIFF.{4}WEBP)/s; // the first bytes of JPEG, PNG and WebP

/**
 * The picture to send: {blob, size, scale}, `size` as it stands upright, `scale` relative to the file. A copy has at
 * most MAX_SIDE pixels a side. A file that the browser cannot decode has no `size` and is sent unchanged, so that the
 * API can say what is wrong with it; if it is too large for that, `blob` is null. Throws an ApiError if the file has
 * changed since it was chosen.
 */
export async function shrink(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file); // upright; old browsers refuse the name of this default
    return await scaled(file, bitmap);
  } catch {
    await file.slice(0, 1).arrayBuffer().catch(() => {
      throw new ApiError("changed");
    });
    return { blob: file.size > MAX_BYTES ? null : file, size: null, scale: 1 };
  } finally {
    bitmap?.close();
  }
}

async function scaled(file, bitmap) {
  const fits = file.size <= MAX_BYTES && bitmap.width * bitmap.height <= MAX_PIXELS;
  if (fits && await isAccepted(file) && !await isTurnedByService(file)) {
    return { blob: file, size: { width: bitmap.width, height: bitmap.height }, scale: 1 };
  }
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const canvas = createCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // JPEG has no transparency
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return { blob: await toJpeg(canvas, 0.9), size: { width, height }, scale };
}

async function isAccepted(file) {
  return ACCEPTED.test(String.fromCharCode(...new Uint8Array(await file.slice(0, 12).arrayBuffer())));
}

/** Whether the service may turn a picture that browsers show as it is, so that its boxes would be in wrong places. */
async function isTurnedByService(file) {
  const start = new TextDecoder("latin1").decode(await file.slice(0, 65_536).arrayBuffer());
  const isWebpWithMetadata = start.slice(8, 16) === "WEBPVP8X" && start.charCodeAt(20) & 0x0c; // EXIF or XMP
  return isWebpWithMetadata || /tiff:Orientation\s*(?:>|=\s*["'])\s*[2-8]/.test(start);
}
