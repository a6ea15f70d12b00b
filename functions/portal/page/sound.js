// A sound for alerts.

let audio = null;

/** Enable sound; must be called from a click handler, since browsers block sound before one. */
export function enableSound() {
  audio ??= new AudioContext();
  audio.resume();
}

/** Play two short tones. */
export function beep() {
  for (const [at, pitch] of [[0, 880], [0.2, 660]]) {
    const tone = new OscillatorNode(audio, { frequency: pitch });
    const volume = new GainNode(audio, { gain: 0.2 });
    tone.connect(volume).connect(audio.destination);
    tone.start(audio.currentTime + at);
    tone.stop(audio.currentTime + at + 0.15);
  }
}
