// Encoding of pixels as JPEG with <canvas>, since Safari before 16.4 has no OffscreenCanvas.

export function createCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** Encode a canvas as a JPEG Blob. Rejects if the browser cannot, for example because the canvas is too large. */
export function toJpeg(canvas, quality) {
  return new Promise((resolve, reject) => {
    const take = (blob) => (blob ? resolve(blob) : reject(new Error("The browser cannot encode the picture.")));
    canvas.toBlob(take, "image/jpeg", quality);
  });
}
