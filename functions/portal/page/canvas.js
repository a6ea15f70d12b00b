// Pixels to a JPEG file, by <canvas>: Safari before 16.4 has no OffscreenCanvas.

export function createCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** A Blob of what is drawn. Rejects where the browser cannot encode it, as when it is too large for it. */
export function toJpeg(canvas, quality) {
  return new Promise((resolve, reject) => {
    const take = (blob) => (blob ? resolve(blob) : reject(new Error("The browser cannot encode the picture.")));
    canvas.toBlob(take, "image/jpeg", quality);
  });
}
