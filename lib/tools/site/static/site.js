// What the pages cannot do by themselves.

// Excerpts of what a search found are fetched, which a browser refuses in a folder.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// A link into what is folded unfolds it.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  const folded = target.querySelector(":scope > details.folded");
  for (let part = folded || target; part; part = part.parentElement) if (part.matches("details")) part.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", unfold);
addEventListener("DOMContentLoaded", unfold);

// What scrolls in itself can be reached by keyboard.
const SCROLLING = ".formula, .highlight pre, .output, .table-wrapper";
function makeReachable() {
  for (const part of document.querySelectorAll(SCROLLING))
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0;
}
addEventListener("load", makeReachable);
addEventListener("resize", makeReachable);
addEventListener("toggle", makeReachable, true);
