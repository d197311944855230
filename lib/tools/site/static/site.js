// What the pages cannot do by themselves.

// Excerpts of what a search found are fetched, which a browser refuses in a folder.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// A link into what is folded unfolds it.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const folded = target.querySelector(":scope > details.folded");
  for (let part = folded || target; part; part = part.parentElement) if (part.matches("details")) part.open = true;
  target.scrollIntoView({behavior: "instant"});
}
addEventListener("hashchange", unfold);
addEventListener("DOMContentLoaded", unfold);
addEventListener("load", unfold);  // figures above it have got their height by now

// What scrolls in itself can be reached by keyboard.
const SCROLLING = ".formula, .highlight pre, .output, .cell_output, .table-wrapper";
function makeReachable() {
  for (const part of document.querySelectorAll(SCROLLING))
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
}
addEventListener("load", makeReachable);
addEventListener("resize", makeReachable);
addEventListener("toggle", makeReachable, true);

// What unfolds code is called what it shows.
for (const summary of document.querySelectorAll("details.hide > summary")) summary.removeAttribute("aria-label");

// What moves by itself can be stopped, and stands still for those who asked for that.
function makeStoppable(moving) {
  const still = document.createElement("canvas"), button = document.createElement("button");
  [still.width, still.height] = [moving.naturalWidth, moving.naturalHeight];
  still.setAttribute("role", "img");
  still.setAttribute("aria-label", moving.alt);
  button.className = "stop";
  function stop(stopped) {
    if (stopped) still.getContext("2d").drawImage(moving, 0, 0);
    [moving.hidden, still.hidden] = [stopped, !stopped];
    button.textContent = stopped ? "Play" : "Stop";
  }
  button.addEventListener("click", () => stop(!moving.hidden));
  moving.after(still, button);
  stop(matchMedia("(prefers-reduced-motion: reduce)").matches);
}
addEventListener("load", () => document.querySelectorAll("article img[src$='.gif']").forEach(makeStoppable));
