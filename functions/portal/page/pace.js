// How large frames are and how often they are sent, from how the service answers. Pure functions.

const SIDES = [320, 480, 640, 960]; // pixels of a frame's longer side; faces are looked for in 448
const SLOW = 160; // ms for a frame, above which a smaller one is sent
const QUICK = 55; // ms, below which a larger one is
const STEADY = 20; // answers at one size before a larger one is tried
const LONGEST = 30; // seconds between tries

export const START = { side: 640, took: null, answers: 0, failures: 0, slowdown: 1 };

/** The pace after an answer that took so many milliseconds. */
export function answered(pace, ms) {
  const took = pace.took === null ? ms : 0.8 * pace.took + 0.2 * ms;
  const at = SIDES.indexOf(pace.side);
  let step = 0;
  if (took > SLOW && pace.answers > 4 && at > 0) step = -1;
  if (took < QUICK && pace.answers > STEADY && at < SIDES.length - 1) step = 1;
  return {
    side: SIDES[at + step], took: step ? null : took, answers: step ? 0 : pace.answers + 1, failures: 0,
    slowdown: Math.max(1, pace.slowdown * 0.97), // back to full speed, slowly
  };
}

/** The pace after a refusal, and the seconds to wait: as long as the service says, or twice as long each time. */
export function refused(pace, { status, after }) {
  const failures = pace.failures + 1;
  const slowdown = status === 429 ? Math.min(pace.slowdown * 2, 32) : pace.slowdown;
  return { pace: { ...pace, failures, slowdown }, wait: Math.min(Math.max(after, 2 ** (failures - 1)), LONGEST) };
}

/** Milliseconds from the start of one frame to that of the next, for at most so many a second. */
export const interval = ({ slowdown }, most) => (1000 / most) * slowdown;
