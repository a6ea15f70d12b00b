// Requests to the API, and what its refusals mean to the person in front of the page.

import { askForKey, key } from "./key.js";

// By the identifier of the problem: what happened, and what to do about it.
const MEANING = {
  "malformed-body": ["The service could not read the request.", "Reload the page and try again."],
  "invalid-parameter": ["The service does not take one of the settings.", "Correct it, or reload the page."],
  forbidden: ["The API key is missing or wrong.", "Enter the one that you were given, by the button “API key”."],
  "not-found": ["This service does not offer that.", "Whoever runs it may have an older version."],
  "too-large": ["The file is too large to send.", "Save a smaller copy as JPEG, of less than 4 MB."],
  "unsupported-type": ["Files of this kind cannot be judged.", "Save the picture as JPEG, PNG or WebP."],
  "unreadable-image": ["The picture is damaged or cut short.", "Open it in a viewer, save it anew, and try again."],
  "too-many-pixels": ["The picture has too many pixels.", "Save a smaller copy and try again."],
  "too-small": ["The picture is too small.", "Take one of at least 32 pixels a side."],
  throttled: [
    "The service has too much to do, or this month's quota is used up.",
    "Try again in a minute; if that does not help, ask whoever runs it for more.",
  ],
  "not-in-time": ["That cannot be counted in time.", "Choose fewer days, or one source."],
  internal: ["The service failed.", "Try again in a moment; if it stays, tell whoever runs it."],
  "no-pictures": ["There are no pictures in that folder.", "Choose the pictures themselves."],
  empty: ["The file is empty.", "Choose another one, or save it anew."],
  unexpected: ["The answer is not one of this service.", "Reload the page; something between may have changed it."],
  failed: ["The page could not handle this file.", "Save it anew as JPEG, and try again."],
  network: ["The service cannot be reached.", "Look at your connection, then try again."],
};
// For answers that are no problem documents: a proxy's, say.
const BY_STATUS = {
  400: "malformed-body", 403: "forbidden", 404: "not-found", 413: "too-large", 415: "unsupported-type",
  422: "unreadable-image", 429: "throttled",
};

/**
 * Why there is no answer. `message` is what happened, `advice` what to do, `detail` what the service itself said.
 * `retryable`: the same request may succeed later; `after`: not before so many seconds, where the service says so.
 */
export class ApiError extends Error {
  constructor(kind, { status = 0, detail = "", instance = "", after = 0 } = {}) {
    const [what, advice] = MEANING[kind];
    super(what);
    Object.assign(this, { kind, status, advice, detail, instance, after });
    this.retryable = status === 429 || status >= 500 || kind === "network";
  }
}

async function refusal(answer) {
  const { status, headers } = answer;
  const { type = "", detail, instance } = (await answer.json().catch(() => null)) ?? {};
  const slug = String(type).replace("urn:maskwatch:problem:", "");
  const kind = Object.hasOwn(MEANING, slug) ? slug : BY_STATUS[status] ?? (status < 500 ? "malformed-body" : "internal");
  return new ApiError(kind, { status, detail, instance, after: Number(headers.get("retry-after")) || 0 });
}

/**
 * Ask the API; resolves to the Response. Asks the person for a key where the service wants one.
 * Throws a ApiError, or what `signal` was aborted with.
 */
export async function request(path, { body, type, signal } = {}) {
  for (;;) {
    const used = key();
    const headers = { ...(used && { "x-api-key": used }), ...(type && { "content-type": type }) };
    let answer;
    try {
      answer = await fetch(path, { method: body ? "POST" : "GET", headers, body, signal, cache: "no-store" });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError("network");
    }
    if (answer.ok) return answer;
    const refused = await refusal(answer);
    const why = used ? "The service does not know this key." : "This service wants a key.";
    if (refused.status !== 403 || (key() === used && !(await askForKey(why)))) throw refused;
  }
}

/** Ask for JSON: what `request` does, with the answer parsed. */
export async function requestJson(path, options) {
  const answer = await request(path, options);
  try {
    return await answer.json();
  } catch (error) {
    if (options?.signal?.aborted) throw error;
    throw new ApiError(error instanceof SyntaxError ? "unexpected" : "network");
  }
}

/**
 * What the API says about a picture; `source` is what the records call where it is from, `track` whom its largest face
 * belongs to, if that is known.
 */
export async function predict(picture, source, { signal, track } = {}) {
  const query = new URLSearchParams({ source, ...(track && { track }) });
  const answer = await requestJson(`predict?${query}`, { body: picture, type: picture.type, signal });
  if (!answer?.summary) throw new ApiError("unexpected");
  return answer;
}
