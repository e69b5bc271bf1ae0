"use strict";
// Replaces the page's content in place, so that a wall screen survives a restart of the exporter and marks outdated content.
const pause = 1000 * document.documentElement.dataset.refresh;
let seen = new Date(), timer;

function show(page) {
  const open = [...document.querySelectorAll("details[open]")].map(details => details.id);
  const focused = document.activeElement.getAttribute("href");
  document.title = page.title;
  document.querySelector("link[rel=icon]").href = page.querySelector("link[rel=icon]").href;
  document.body.replaceWith(page.body);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
  seen = new Date();
}

async function refresh() {
  clearTimeout(timer);
  timer = setTimeout(refresh, pause);
  if (document.hidden || !getSelection().isCollapsed) return;
  try {
    const answer = await fetch(location.href, {cache: "no-store", signal: AbortSignal.timeout(5000)});
    if (!answer.ok) throw new Error(answer.status);
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch (error) {
    const stale = document.getElementById("stale");
    stale.textContent = `No answer from the exporter: this is how it was at ${seen.toISOString().slice(11, 19)} UTC.`;
    stale.hidden = false;
  }
}

timer = setTimeout(refresh, pause);
document.addEventListener("visibilitychange", refresh);
