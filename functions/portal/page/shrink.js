// A file to what is sent of it.

const MOST = 1920; // pixels of the longer side: what faces are found in is much smaller
const MOST_BYTES = 4_400_000; // what the API takes
const TAKEN = ["image/jpeg", "image/png", "image/webp"];

/**
 * The picture to send, upright and at most MOST pixels wide and high: {blob, size, scale}, `scale` to the original.
 * What the API takes as it is goes as it is. What the browser cannot read has no `size`, and goes as it is, too, for
 * the API says what is wrong with it; unless it is too large, then `blob` is null.
 */
export async function shrink(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return { blob: file.size > MOST_BYTES ? null : file, size: null, scale: 1 };
  }
  const scale = Math.min(1, MOST / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  let blob = file;
  if (scale < 1 || !TAKEN.includes(file.type) || file.size > MOST_BYTES) {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff"; // JPEG knows no transparency
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, width, height);
    blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
  }
  bitmap.close();
  return { blob, size: { width, height }, scale };
}
