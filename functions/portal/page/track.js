// Tracking: matches faces across frames to people, and smooths their labels. Pure functions.

export const DEFAULTS = {
  steadiness: 0.5, // seconds over which probabilities are smoothed
  margin: 0.2, // lead in probability that another label needs to take over
  overlap: 0.25, // intersection over union from which two boxes are the same face
  patience: 1, // seconds that a face may be out of sight
  sightings: 3, // frames before a face counts as a person
};
export const NOBODY = { tracks: [], gone: { people: 0, mask: 0, incorrect: 0, no_mask: 0 }, next: 1 };

/** Intersection over union of two boxes {left, top, width, height}. */
export function iou(a, b) {
  const width = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const height = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (a.width * a.height + b.width * b.height - shared);
}

/**
 * Update the tracks with one more frame, and return the new state.
 * `known` is NOBODY or an earlier return value; `faces` are those of an answer, with boxes in the same unit every time;
 * `now` is in seconds. A track is {id, box, probabilities, label, since, last, seen}: `since` is the time of its latest
 * change of label, `last` the time it was last seen, `seen` its number of frames.
 */
export function follow(known, faces, now, settings = DEFAULTS) {
  const found = match(known.tracks, faces, settings.overlap);
  let { next } = known;
  const tracks = [];
  const gone = { ...known.gone };
  for (const track of known.tracks) {
    const face = faces[found.get(track)];
    if (face) tracks.push(seen(track, face, now, settings));
    else if (now - track.last <= settings.patience) tracks.push(track);
    else if (track.seen >= settings.sightings) {
      gone.people += 1;
      gone[track.label] += 1;
    }
  }
  const taken = new Set(found.values());
  faces.forEach(({ box, probabilities }, i) => {
    if (taken.has(i)) return;
    tracks.push({ id: next, box, probabilities, label: likeliest(probabilities), since: now, last: now, seen: 1 });
    next += 1;
  });
  return { tracks, gone, next };
}

/** People counted so far, including those in sight, by their last label: {people, mask, incorrect, no_mask}. */
export function tally({ tracks, gone }, { sightings } = DEFAULTS) {
  const counts = { ...gone };
  for (const track of tracks.filter(({ seen: times }) => times >= sightings)) {
    counts.people += 1;
    counts[track.label] += 1;
  }
  return counts;
}

/** The tracks of people in sight who have had no mask for longer than `after` seconds. */
export function withoutMask({ tracks }, now, after, { sightings } = DEFAULTS) {
  return tracks.filter((track) => track.label === "no_mask" && track.seen >= sightings && now - track.since > after);
}

/** Match faces to tracks greedily, best overlap first: a Map of tracks to indices of faces. */
function match(tracks, faces, minIou) {
  const pairs = tracks.flatMap((track) => faces.map(({ box }, i) => ({ track, i, share: iou(track.box, box) })));
  const found = new Map();
  const taken = new Set();
  for (const { track, i, share } of pairs.sort((a, b) => b.share - a.share)) {
    if (share < minIou) break;
    if (found.has(track) || taken.has(i)) continue;
    found.set(track, i);
    taken.add(i);
  }
  return found;
}

function seen(track, { box, probabilities }, now, { steadiness, margin }) {
  // Weighted by time rather than by frame, so that smoothing does not depend on the frame rate.
  const weight = steadiness > 0 ? 1 - Math.exp(-(now - track.last) / steadiness) : 1;
  const smoothed = {};
  for (const [label, p] of Object.entries(track.probabilities)) {
    smoothed[label] = p + weight * (probabilities[label] - p);
  }
  const best = likeliest(smoothed);
  const label = smoothed[best] - smoothed[track.label] > margin ? best : track.label;
  const since = label === track.label ? track.since : now;
  return { ...track, box, probabilities: smoothed, label, since, last: now, seen: track.seen + 1 };
}

const likeliest = (probabilities) => Object.entries(probabilities).reduce((a, b) => (b[1] > a[1] ? b : a))[0];
