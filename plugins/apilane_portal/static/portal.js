// Small help for pages that work without it: the code of a one-time link, and local times.
"use strict";

const code = document.querySelector("input[name=code]");
function takeCode() {
  if (code && location.hash.length > 1) {
    code.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
  }
}
takeCode();
addEventListener("hashchange", takeCode); // the page was open before the link was followed

for (const time of document.querySelectorAll("time")) {
  const moment = new Date(time.dateTime);
  if (!Number.isNaN(moment.getTime())) {
    time.title = `${time.textContent} UTC`;
    time.textContent = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
}


// On narrow screens the navigation starts folded.
const side = document.querySelector(".side details.menu");
if (side && matchMedia("(max-width: 900px)").matches) side.open = false;
