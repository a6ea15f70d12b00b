// Stretches of time, in UTC as the summaries are. Pure functions.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const HOURLY = 3 * DAY; // and less: by the hour
const PRESETS = { "24h": [DAY, HOUR], "7d": [7 * DAY, DAY], "30d": [30 * DAY, DAY], "90d": [90 * DAY, DAY] };

/** The range {from, to, by}, in ms to its last hour or day, of a preset or of two dates; null where they are none. */
export function choose(preset, first, last, now) {
  if (preset in PRESETS) {
    const [length, step] = PRESETS[preset];
    const to = Math.floor(now / step) * step;
    return { from: to - length + step, to, by: step === HOUR ? "hour" : "day" };
  }
  const [from, to] = [Date.parse(first), Date.parse(last)];
  if (!(from <= to)) return null;
  return to - from < HOURLY ? { from, to: to + DAY - HOUR, by: "hour" } : { from, to, by: "day" };
}

const LENGTHS = { day: 10, hour: 13, minute: 16 };

/** A time, to the day, the hour or the minute, as the API takes it. */
export const spell = (time, to) => new Date(time).toISOString().slice(0, LENGTHS[to]);

/** Every hour or day of a range, in ms. */
export function steps({ from, to, by }) {
  const step = by === "hour" ? HOUR : DAY;
  return Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step);
}

/** What a step is called below a bar. */
export function name(time, by) {
  const text = spell(time, "minute");
  return by === "hour" && !text.endsWith("00:00") ? text.slice(11) : text.slice(5, 10);
}
