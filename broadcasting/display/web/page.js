// Asks /status.json once a second and shows it. Text of others only ever becomes textContent.
"use strict";

const EVERY_MS = 1000;
const PATIENCE_MS = 5000;
const STATES = {
  waiting: "Waiting for listeners",
  playing: "On air",
  ending: "Ending",
  failed: "Stopped by a fault: see the server's log",
};
const COLUMNS = [...document.querySelectorAll("thead th")].map((cell) => cell.textContent);

let answeredAt = null;

const at = (id) => document.getElementById(id);
const count = (number) => (number ?? 0).toLocaleString("en");
const milliseconds = (value) => (value == null ? "–" : `${value.toFixed(1)} ms`);
const seconds = (value) => (value == null ? "–" : `${value.toFixed(1)} s`);

function clock(value) {
  if (value == null) return "-:--";
  const whole = Math.max(0, Math.floor(value));
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes}:${two(whole % 60)}`
    : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

function show(status) {
  const { position_s: position, duration_s: duration } = status;
  const title = status.title || "MP3 broadcast";
  at("state").textContent = STATES[status.state] ?? status.state;
  at("title").textContent = title;
  document.title = `${title} – ${count(status.registered)} listening`;
  at("progress").hidden = !duration;
  if (duration) at("progress").value = Math.min(1, position / duration);
  at("played").textContent = clock(position) + (duration ? ` of ${clock(duration)}` : " played");
  at("left").textContent = duration ? `${clock(Math.floor(duration) - Math.floor(position))} left` : "";
  at("listeners").textContent = `${count(status.registered)} of ${count(status.capacity)}`;
  at("lost").textContent = count(status.lost);
  at("lost").className = status.lost ? "bad" : "";
  at("repeated").textContent = count(status.repeated);
  at("jitter").textContent = milliseconds(status.jitter_ms);
  at("lateness").textContent = milliseconds(status.lateness_p99_ms);
  at("unsent").textContent = count(status.unsent);
  showListeners(status);
}

function showListeners({ listeners, registered }) {
  const cut = listeners.length < registered;
  at("heading").textContent = cut ? `The ${listeners.length} worst listeners` : "Listeners";
  at("nobody").hidden = listeners.length > 0;
  document.querySelector("table").hidden = listeners.length === 0;
  at("rows").replaceChildren(...listeners.map(row));
}

function row(one) {
  const told = one.expected !== undefined;
  const cells = [
    one.address,
    clock(one.registered_s),
    told ? count(one.lost) : "–",
    told ? count(one.retransmitted + one.rebuilt) : "–",
    milliseconds(one.jitter_ms),
    milliseconds(one.rtt_ms),
    seconds(one.buffer_s),
    seconds(one.concealed_s),
  ];
  const line = document.createElement("tr");
  cells.forEach((text, column) => {
    const cell = document.createElement("td");
    const content = document.createElement("span");
    content.textContent = text;
    cell.dataset.label = COLUMNS[column];
    if (column === 2 && one.lost) content.className = "bad";
    cell.append(content);
    line.append(cell);
  });
  return line;
}

function showGone(gone) {
  document.body.classList.toggle("gone", gone);
  at("gone").hidden = !gone;
  if (!gone) return;
  const since = answeredAt ? ` What is shown is of ${answeredAt.toLocaleTimeString()}.` : "";
  const text = `The server does not answer: it has ended, or cannot be reached.${since}`;
  if (at("gone").textContent !== text) at("gone").textContent = text;
}

async function look() {
  try {
    const answer = await fetch("status.json", { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(answer.statusText);
    show(await answer.json());
    answeredAt = new Date();
    showGone(false);
  } catch {
    showGone(true);
  }
  setTimeout(look, EVERY_MS);
}

look();
