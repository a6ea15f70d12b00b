// DOM helpers, and the words and signs for the labels.

export const LABELS = ["mask", "incorrect", "no_mask"]; // in the order in which they are shown
export const WORDS = { mask: "Mask", incorrect: "Worn wrongly", no_mask: "No mask", uncertain: "Uncertain" };
export const SIGNS = { mask: "✓", incorrect: "!", no_mask: "✕", uncertain: "?" };

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** Create an element. `style` is set property by property, since the page's policy allows no style attribute. */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "style") Object.assign(element.style, value);
    else if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Create the sign of a label, which differs by shape and not by colour alone. */
export function sign(label) {
  return make("b", { className: `sign ${label}`, "aria-hidden": "true" }, SIGNS[label]);
}

export const percent = (share, digits = 0) => `${(share * 100).toFixed(digits)}%`;
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Show a message in an element, or none. The element is never hidden, since screen readers would miss the message. */
export function showMessage(element, text = "", bad = false) {
  element.textContent = text;
  element.classList.toggle("bad", bad);
}

/** Download a Blob as a file. */
export function save(name, blob) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
