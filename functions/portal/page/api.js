// Requests to the API, and explanations of its refusals for the user.

import { askForKey, key } from "./key.js";

const PATIENCE = 35_000; // ms; API Gateway gives up after 29 s
const SLOWEST = 20; // bytes per ms of a picture or an answer

// By problem identifier: what happened, and what to do about it.
const MEANING = {
  "malformed-body": ["The service could not read the request.", "Reload the page and try again."],
  "invalid-parameter": ["The service does not accept one of the settings.", "Correct it, or reload the page."],
  forbidden: ["The API key is missing or wrong.", "Enter the key you were given with the button “API key”."],
  blocked: ["A firewall refused the request.", "If it should not, tell the service's operator."],
  "not-found": ["This service does not offer that.", "It may be an older version; ask its operator."],
  "too-large": ["The file is too large to send.", "Save a smaller copy as JPEG, of less than 4 MB."],
  "unsupported-type": ["Files of this type cannot be scored.", "Save the picture as JPEG, PNG or WebP."],
  "unreadable-image": ["The picture cannot be read.", "Open it in a viewer, save it again, and retry."],
  "too-many-pixels": ["The picture has too many pixels.", "Save a smaller copy and try again."],
  "too-small": ["The picture is too small.", "Take one of at least 32 pixels a side."],
  throttled: ["The service is too busy.", "Try again in a minute."],
  "quota-exceeded": ["This month's quota is used up.", "Ask the service's operator for a larger one."],
  "not-in-time": ["That cannot be counted in time.", "Choose fewer days, or one source."],
  internal: ["The service failed.", "Try again in a moment; if it keeps failing, tell its operator."],
  "no-pictures": ["There are no pictures in that folder.", "Choose the pictures themselves."],
  empty: ["The file is empty.", "Choose another one, or save it again."],
  changed: ["The file has changed or is gone.", "Choose it again."],
  unexpected: ["The answer is not from this service.", "Reload the page; a proxy may have changed the answer."],
  failed: ["The page could not handle this file.", "Save it again as JPEG, and retry."],
  network: ["The service cannot be reached.", "Check your connection, then try again."],
};
// For answers that are not problem documents, such as a proxy's.
const BY_STATUS = {
  400: "malformed-body", 403: "forbidden", 404: "not-found", 408: "network", 413: "too-large",
  415: "unsupported-type", 422: "unreadable-image", 429: "throttled",
};

/**
 * A failed request. `message` is what happened, `advice` what to do, `detail` the service's own explanation.
 * `retryable`: the same request may succeed later; `after`: seconds from Retry-After, or 0.
 */
export class ApiError extends Error {
  constructor(kind, { status = 0, detail = "", instance = "", after = 0 } = {}) {
    const [what, advice] = MEANING[kind];
    super(what);
    Object.assign(this, { kind, status, advice, detail, instance, after });
    this.retryable = kind === "throttled" || status >= 500 || kind === "network";
  }
}

async function refusal(answer) {
  const { status, headers } = answer;
  const { type = "", detail, instance } = (await answer.json().catch(() => null)) ?? {};
  const identifier = String(type).replace("urn:maskwatch:problem:", "");
  const kind = Object.hasOwn(MEANING, identifier)
    ? identifier
    : BY_STATUS[status] ?? (status < 500 ? "malformed-body" : "internal");
  return new ApiError(kind, { status, detail, instance, after: Number(headers.get("retry-after")) || 0 });
}

/** Fetch a whole answer, and give up if it does not come for too long. Old browsers lack AbortSignal.any. */
async function fetchPatiently(path, { signal, ...options }) {
  const abort = new AbortController();
  const giveUp = () => abort.abort();
  if (signal?.aborted) giveUp();
  signal?.addEventListener("abort", giveUp);
  let timer;
  const wait = (bytes) => {
    clearTimeout(timer);
    timer = setTimeout(giveUp, PATIENCE + (bytes || 0) / SLOWEST);
  };
  wait(options.body?.size);
  try {
    const answer = await fetch(path, { ...options, signal: abort.signal });
    wait(answer.headers.get("content-length"));
    return new Response(await answer.arrayBuffer(), answer);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}

/**
 * Send a request; resolves to the Response, whose body has arrived. Asks the user for a key if the service requires one.
 * Throws an ApiError, or the reason that `signal` was aborted with.
 */
export async function request(path, { body, type, signal } = {}) {
  for (;;) {
    const used = key();
    const headers = { ...(used && { "x-api-key": used }), ...(type && { "content-type": type }) };
    let answer;
    try {
      const method = body ? "POST" : "GET";
      answer = await fetchPatiently(path, { method, headers, body, signal, cache: "no-store" });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError("network");
    }
    if (answer.ok) return answer;
    const refused = await refusal(answer);
    const why = used ? "The service does not know this key." : "This service requires a key.";
    if (refused.kind !== "forbidden" || (key() === used && !(await askForKey(why)))) throw refused;
  }
}

/** Send a request as `request` does; resolves to the parsed JSON. */
export async function requestJson(path, options) {
  const answer = await request(path, options);
  try {
    return await answer.json();
  } catch {
    throw new ApiError("unexpected");
  }
}

/**
 * The prediction for a picture. `source` is the camera or site in its record; `track` is the stay of the person whose
 * face is the largest, if known.
 */
export async function predict(picture, source, { signal, track } = {}) {
  const query = new URLSearchParams({ source, ...(track && { track }) });
  // The browser derives the type from the file name and knows few types; the service detects it from the bytes.
  const type = "application/octet-stream";
  const answer = await requestJson(`predict?${query}`, { body: picture, type, signal });
  if (!answer?.summary) throw new ApiError("unexpected");
  return answer;
}
