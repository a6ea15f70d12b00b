// What is dropped on the page: files, and the pictures in folders.

import { ApiError } from "./api.js";

const PICTURE = /\.(jpe?g|jpe|jfif|png|webp|heic|heif|avif|gif|bmp|tiff?)$/i;

/** The files of a drop, those of folders only where they are named like a picture. Throws an ApiError. */
export async function droppedFiles({ items, files }) {
  // Entries are there only until the event is over.
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

/** All of a folder, of which a reader gives some at a time, and none when it is through. */
async function childrenOf(reader) {
  const children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return children;
    children.push(...some);
  }
}
