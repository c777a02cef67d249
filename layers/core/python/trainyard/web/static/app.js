// For every page: what only a script can do is shown, times are told in the reader's own zone, text is copied.
"use strict";

function refine(root) {
  for (const element of root.querySelectorAll("[data-script]")) element.hidden = false;
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    if (isNaN(at)) continue;
    const two = (number) => String(number).padStart(2, "0");
    element.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  button.textContent = button.dataset.done;
});

refine(document);
window.trainyard = { refine };
