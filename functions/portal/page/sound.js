// A tone, for who does not look at the page all the time.

let audio = null;

/** Get ready, in answer to a click: browsers let no page make a sound before one. */
export function listen() {
  audio ??= new AudioContext();
  audio.resume();
}

/** Two short tones. */
export function beep() {
  for (const [at, pitch] of [[0, 880], [0.2, 660]]) {
    const tone = new OscillatorNode(audio, { frequency: pitch });
    const volume = new GainNode(audio, { gain: 0.2 });
    tone.connect(volume).connect(audio.destination);
    tone.start(audio.currentTime + at);
    tone.stop(audio.currentTime + at + 0.15);
  }
}
