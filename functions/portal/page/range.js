// Time ranges in UTC, like the summaries. Pure functions.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const HOURLY = 3 * DAY; // shorter ranges are shown by the hour
const PRESETS = { "24h": [DAY, HOUR], "7d": [7 * DAY, DAY], "30d": [30 * DAY, DAY], "90d": [90 * DAY, DAY] };

/** The range {from, to, by} of a preset or of two dates, in ms, up to its last hour or day; null if invalid. */
export function chooseRange(preset, first, last, now) {
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

/** Format a time for the API, to the day, the hour or the minute. */
export const formatTime = (time, to) => new Date(time).toISOString().slice(0, LENGTHS[to]);

/** Format a time for people, to the minute. */
export const formatMinute = (time) => formatTime(time, "minute").replace("T", " ");

/** Every hour or day of a range, in ms. */
export function steps({ from, to, by }) {
  const step = by === "hour" ? HOUR : DAY;
  return Array.from({ length: Math.round((to - from) / step) + 1 }, (_, i) => from + i * step);
}

/** The label of a step on the axis. */
export function axisLabel(time, by) {
  const text = formatTime(time, "minute");
  return by === "hour" && !text.endsWith("00:00") ? text.slice(11) : text.slice(5, 10);
}
