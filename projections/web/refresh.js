// Reads the page again every few seconds and puts the new content in the place of the old.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const switcher = document.getElementById("tz");
if (switcher && zone && ![...switcher.options].some((it) => it.value === zone)) {
  switcher.add(new Option(zone, zone));
}
const every = Number(document.body.dataset.refresh || 0);
let pause = every, etag = null, last = Date.now();
const isBusy = () => document.hidden || document.querySelector("details[open]") ||
  ["INPUT", "SELECT", "BUTTON"].includes(document.activeElement?.tagName);
const say = (text) => {
  const line = document.querySelector(".age");
  if (line && line.textContent !== text) line.textContent = text;
};
async function refresh() {
  if (isBusy()) return setTimeout(refresh, every * 1000);
  try {
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await fetch(location.href, { headers, signal: AbortSignal.timeout(4000) });
    if (answer.status === 401 || answer.status === 403) return say("Not refreshed: log in again.");
    if (answer.status === 200) {
      etag = answer.headers.get("ETag");
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (isBusy()) return setTimeout(refresh, every * 1000);
      const focus = document.activeElement?.id, [x, y] = [scrollX, scrollY];
      document.querySelector("main").replaceWith(next.querySelector("main"));
      if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
      scrollTo(x, y);
    } else if (answer.status !== 304) throw new Error(answer.status);
    [pause, last] = [every, Date.now()];
  } catch {
    say(`Not refreshed for ${Math.round((Date.now() - last) / 1000)} s: service does not answer.`);
    pause = Math.min(pause * 2, 60);
  }
  setTimeout(refresh, pause * 1000);
}
if (every) setTimeout(refresh, every * 1000);
