"use strict";
const drop = document.getElementById("drop"), input = document.getElementById("file");
const announcement = document.getElementById("status"), songs = document.getElementById("songs");
const recordButton = document.getElementById("record");
const SVG = "http://www.w3.org/2000/svg";
const AT_ONCE = 2, RECORDING_S = 30, SHOWN = 3;
const hue = (genres, genre) => `hsl(${Math.round(360 * genres.indexOf(genre) / genres.length)} 60% var(--light))`;
const percent = fraction => `${(100 * fraction).toFixed(1)} %`;

function element(tag, text, parent, name) {
  const node = document.createElement(tag);
  if (text) node.textContent = text;  // never as HTML, because file names are untrusted
  if (name) node.className = name;
  parent.append(node);
  return node;
}

function announce(text, bad) {
  announcement.textContent = text;
  announcement.className = bad ? "bad" : "muted";
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

// Stacked probabilities over time; a segment lasts until the next one starts.
function timeline(segments, genres, duration, parent) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${duration} 1`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Probability of each genre over time");
  segments.forEach((segment, number) => {
    const x = segment.start_s, end = number + 1 < segments.length ? segments[number + 1].start_s : duration;
    let y = 0;
    for (const genre of genres) {
      const probability = segment.probabilities[genre], part = document.createElementNS(SVG, "rect");
      for (const [key, value] of Object.entries({x, y, width: Math.max(0, end - x), height: probability})) part.setAttribute(key, value);
      part.style.fill = hue(genres, genre);
      const title = document.createElementNS(SVG, "title");
      title.textContent = `${clock(segment.start_s)} ${genre}: ${percent(probability)}`;
      part.append(title);
      svg.append(part);
      y += probability;
    }
  });
  parent.append(svg);
}

function axis(duration, parent) {
  const row = element("div", "", parent, "axis muted");
  row.setAttribute("aria-hidden", "true");
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600];
  const step = steps.find(seconds => duration / seconds <= 8) || 7200;
  for (let second = 0; second <= duration * 0.97; second += step)
    element("span", clock(second), row).style.left = `${100 * second / duration}%`;
}

function overTime(prediction, genres, duration, audio, parent) {
  const tracks = element("div", "", parent, "tracks");
  if (prediction.spectrogram) {
    const picture = element("img", "", tracks);
    picture.alt = "Spectrogram: low frequencies at the bottom";
    picture.src = `data:image/png;base64,${prediction.spectrogram}`;
  }
  timeline(prediction.segments, genres, duration, tracks);
  const cursor = element("div", "", tracks, "cursor");
  const move = () => { cursor.style.left = `${100 * Math.min(1, audio.currentTime / duration)}%`; };
  audio.addEventListener("timeupdate", move);
  tracks.addEventListener("click", event => {
    const box = tracks.getBoundingClientRect();
    audio.currentTime = duration * (event.clientX - box.left) / box.width;
    move();
  });
  move();
  axis(duration, parent);
}

// The likeliest genres, which also explain the colours of the timeline; the others on request.
function bars(prediction, genres, parent) {
  const entries = Object.entries(prediction.probabilities);
  const row = ([genre, probability], place) => {
    const line = element("div", "", place, "bar");
    element("span", genre, line);
    const bar = element("i", "", line);
    bar.style.width = `${100 * probability}%`;
    bar.style.background = hue(genres, genre);
    element("b", percent(probability), line);
  };
  entries.slice(0, SHOWN).forEach(entry => row(entry, parent));
  if (entries.length <= SHOWN) return;
  const details = element("details", "", parent);
  element("summary", "Other genres", details);
  entries.slice(SHOWN).forEach(entry => row(entry, details));
}

function show(prediction, file, item) {
  item.replaceChildren();
  const genres = Object.keys(prediction.probabilities).sort();
  const [best, probability] = Object.entries(prediction.probabilities)[0];
  const unsure = prediction.genre !== best;
  element("h2", unsure ? `unsure, perhaps ${best} ${percent(probability)}` : `${best} ${percent(probability)}`, item);
  element("p", prediction.file, item, "muted name");
  if (prediction.synthetic) element("p", "This model was trained on SYNTHETIC music; its predictions say nothing about real songs.", item, "muted");
  const last = prediction.segments[prediction.segments.length - 1].start_s;
  if (file.type.startsWith("image/")) return bars(prediction, genres, item);
  const audio = element("audio", "", item);
  audio.controls = true;
  audio.setAttribute("aria-label", `Play ${prediction.file}`);
  const place = element("div", "", item);
  const draw = () => {
    const duration = Number.isFinite(audio.duration) ? audio.duration : last + 1;
    place.replaceChildren();
    overTime(prediction, genres, Math.max(duration, last + 0.1), audio, place);
  };
  audio.addEventListener("durationchange", draw);
  // A browser cannot play every format that the server reads.
  audio.addEventListener("error", () => { audio.remove(); draw(); });
  audio.src = URL.createObjectURL(file);
  draw();
  bars(prediction, genres, item);
}

async function send(file) {
  const item = element("li", "", songs, "song");
  element("p", `Analysing ${file.name} ...`, item, "muted");
  const form = new FormData();
  form.append("file", file);
  form.append("spectrogram", "true");
  let problem = "";
  try {
    const response = await fetch("/predict", {method: "POST", body: form});
    const content = await response.json();
    if (response.ok) show(content, file, item);
    else problem = typeof content.detail === "string" ? content.detail : `${file.name}: the server refused the file.`;
  } catch (error) {
    problem = "The server does not respond.";
  }
  if (problem) {
    item.replaceChildren();
    element("p", problem, item, "bad").setAttribute("role", "alert");
  }
}

const queue = [];
let running = 0, finished = 0, total = 0;

function next() {
  while (running < AT_ONCE && queue.length) {
    running += 1;
    send(queue.shift()).finally(() => {
      running -= 1;
      finished += 1;
      announce(`${finished} of ${total} analysed`);
      next();
    });
  }
}

function add(files) {
  if (!files.length) return;
  total += files.length;
  queue.push(...files);
  announce(`${finished} of ${total} analysed`);
  next();
}

input.addEventListener("change", () => { add([...input.files]); input.value = ""; });
for (const name of ["dragenter", "dragover"])
  drop.addEventListener(name, event => { event.preventDefault(); drop.classList.add("over"); });
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", event => { event.preventDefault(); add([...event.dataTransfer.files]); });

let recorder = null;

async function record() {
  if (recorder) return recorder.stop();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
  } catch (error) {
    return announce(error.name === "NotAllowedError" ? "The browser does not allow the microphone; allow it for this page." : "No microphone was found; connect one, or choose a file.", true);
  }
  const chunks = [];
  recorder = new MediaRecorder(stream);
  const suffix = recorder.mimeType.includes("mp4") ? "m4a" : recorder.mimeType.includes("ogg") ? "ogg" : "webm";
  recorder.addEventListener("dataavailable", event => chunks.push(event.data));
  recorder.addEventListener("stop", () => {
    stream.getTracks().forEach(track => track.stop());
    const type = recorder.mimeType;
    recorder = null;
    recordButton.textContent = "Record";
    add([new File(chunks, `recording.${suffix}`, {type})]);
  });
  recorder.start();
  recordButton.textContent = "Stop and analyse";
  announce(`Recording, at most ${RECORDING_S} seconds ...`);
  const current = recorder;
  setTimeout(() => { if (recorder === current) recorder.stop(); }, 1000 * RECORDING_S);
}

if (recordButton) {
  if (navigator.mediaDevices && window.MediaRecorder) recordButton.addEventListener("click", record);
  else recordButton.remove();
}
