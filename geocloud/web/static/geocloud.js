// SPDX-License-Identifier: Apache-2.0
// Filtering of lists and copying of addresses; every page works without it.
"use strict";

function finder(box) {
  const input = box.querySelector("input");
  const status = box.querySelector("[data-found]");
  const rows = [...document.querySelectorAll(".row")];
  const groups = [...document.querySelectorAll("[data-group]")];
  function find() {
    const words = input.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => row.dataset.find.toLowerCase().includes(word));
      found += row.hidden ? 0 : 1;
    }
    for (const group of groups) group.hidden = words.length > 0 && !group.querySelector(".row:not([hidden])");
    status.textContent = !words.length ? status.dataset.all
      : found ? status.dataset.some.replace("#", found) : status.dataset.none;
  }
  if (box.dataset.elsewhere) {
    // Not every collection is on this page: Enter goes to the page that lists them all.
    input.addEventListener("keydown", (event) => {
      const word = input.value.trim();
      if (event.key === "Enter" && word) location.assign(`${box.dataset.elsewhere}#q=${encodeURIComponent(word)}`);
    });
    status.textContent = status.dataset.enter;
    box.hidden = false;
    return;
  }
  input.addEventListener("input", find);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { input.value = ""; find(); }
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing) { event.preventDefault(); input.focus(); }
  });
  if (location.hash.startsWith("#q=")) input.value = decodeURIComponent(location.hash.slice(3));
  box.hidden = false;
  find();
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without https the clipboard interface is missing; the old way still works.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "off-screen";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

for (const box of document.querySelectorAll("[data-finder]")) finder(box);
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  const words = button.textContent;
  button.addEventListener("click", async () => {
    if (!(await copy(button.dataset.copy))) return;
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = words; }, 1500);
  });
}
for (const code of document.querySelectorAll("[data-copy-click]")) {
  code.addEventListener("click", async () => {
    if (await copy(code.textContent)) code.classList.add("copied");
    setTimeout(() => code.classList.remove("copied"), 800);
  });
}
// An empty field of a form means the parameter is not given at all.
for (const form of document.querySelectorAll("form.ask")) {
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && field.value === "") field.disabled = true;
  });
}

// Runs a process from its page: in the background, then to the page of its job.
function execute(form) {
  const fault = form.querySelector("[data-fault]");
  const button = form.querySelector("button");
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    fault.textContent = "";
    button.disabled = true;
    try {
      const answer = await fetch(form.dataset.execute, {
        method: "POST",
        headers: { "content-type": "application/json", prefer: "respond-async", accept: "application/json", "accept-language": document.documentElement.lang },
        body: form.querySelector("textarea").value,
      });
      const said = await answer.json();
      if (answer.ok) { location.assign(form.dataset.jobs + said.jobID + location.search); return; }
      fault.textContent = `${said.detail} ${said.todo || ""}`;
    } catch (error) {
      fault.textContent = String(error);
    }
    button.disabled = false;
  });
}

function dismiss(form) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await fetch(form.dataset.dismiss, { method: "DELETE" });
    location.reload();
  });
}

for (const form of document.querySelectorAll("[data-execute]")) execute(form);
for (const form of document.querySelectorAll("[data-dismiss]")) dismiss(form);
