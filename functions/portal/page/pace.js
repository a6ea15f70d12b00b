// Size and rate of the frames to send, adapted to the service's answers. Pure functions.

const SIDES = [320, 480, 640, 960]; // pixels of a frame's longer side; faces are looked for in 448
const SLOW = 160; // ms per frame above which smaller ones are sent
const QUICK = 55; // ms per frame below which larger ones are sent
const RECENT = 5; // answers whose median decides, so that a single slow one, such as a cold start, does not
const STEADY = 20; // answers at one size before a larger one is tried
const MAX_WAIT = 30; // seconds between retries, at most

export const START = { side: 640, took: [], answers: 0, failures: 0, slowdown: 1 };

/** The pace after an answer that took `ms` milliseconds. */
export function answered(pace, ms) {
  const took = [...pace.took, ms].slice(-RECENT);
  const median = took.slice().sort((a, b) => a - b)[RECENT >> 1];
  const at = SIDES.indexOf(pace.side);
  let step = 0;
  if (median > SLOW && took.length === RECENT && at > 0) step = -1;
  if (median < QUICK && pace.answers > STEADY && at < SIDES.length - 1) step = 1;
  return {
    side: SIDES[at + step], took: step ? [] : took, answers: step ? 0 : pace.answers + 1, failures: 0,
    slowdown: Math.max(1, pace.slowdown * 0.97), // recovers full speed slowly
  };
}

/** The pace after a refusal, and the seconds to wait: Retry-After, or exponential backoff if that is longer. */
export function refused(pace, { status, after }) {
  const failures = pace.failures + 1;
  const slowdown = status === 429 ? Math.min(pace.slowdown * 2, 32) : pace.slowdown;
  return { pace: { ...pace, failures, slowdown }, wait: Math.min(Math.max(after, 2 ** (failures - 1)), MAX_WAIT) };
}

/** Milliseconds between the starts of two frames, for at most `maxRate` frames a second. */
export const interval = ({ slowdown }, maxRate) => (1000 / maxRate) * slowdown;
