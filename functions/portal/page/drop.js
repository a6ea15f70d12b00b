// Files dropped on the page, including the pictures in dropped folders.

import { ApiError } from "./api.js";

const PICTURE = /\.(jpe?g|jpe|jfif|png|webp|heic|heif|avif|gif|bmp|tiff?)$/i;

/** The dropped files; of folders, only those with a picture's file ending. Throws an ApiError. */
export async function droppedFiles({ items, files }) {
  // The entries exist only until the event handler returns.
  const entries = [...items].map((item) => item.webkitGetAsEntry?.());
  if (!entries.some((entry) => entry?.isDirectory)) return [...files];
  const found = (await Promise.all(entries.filter(Boolean).map((entry) => filesOf(entry)))).flat();
  if (!found.length) throw new ApiError("no-pictures");
  return found;
}

async function filesOf(entry, inFolder = false) {
  if (entry.isDirectory) {
    const children = await childrenOf(entry.createReader());
    return (await Promise.all(children.map((child) => filesOf(child, true)))).flat();
  }
  if (inFolder && !PICTURE.test(entry.name)) return [];
  return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
}

/** All entries of a folder. A reader returns them in batches, the last of which is empty. */
async function childrenOf(reader) {
  const children = [];
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) return children;
    children.push(...batch);
  }
}
