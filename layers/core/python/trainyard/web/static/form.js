// The form: what validation would say is asked for as soon as a field was changed, and shown beside the fields.
"use strict";
(() => {
  const POLL = 500, MOST_POLLS = 60;
  const form = document.getElementById("form");
  const checked = document.getElementById("checked"), news = document.getElementById("news");
  const words = form.dataset;
  let latest = 0, sending = false, listing = { folders: [], python_files: [], known: words.listing === "there" };

  const content = (action) => {
    const data = new URLSearchParams(new FormData(form));
    if (action) data.set("action", action);
    return data;
  };
  const filled = () => form.elements.name.value && form.elements.boot_file.value;
  const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  function say(kind, ...texts) {
    const note = document.createElement("div"), box = document.createElement("div");
    note.className = `note ${kind}`;
    for (const text of texts.filter(Boolean)) {
      const paragraph = document.createElement("p");
      paragraph.textContent = text;
      box.append(paragraph);
    }
    note.append(box);
    news.replaceChildren(...(texts[0] ? [note] : []));
  }

  function marked(parent, text) {
    const pieces = text.split("`");
    if (pieces.length % 2 === 0) return parent.append(text);
    pieces.forEach((piece, number) => {
      const part = number % 2 ? document.createElement("code") : document.createTextNode("");
      part.textContent = piece;
      parent.append(part);
    });
  }

  function entry(one) {
    const item = document.createElement("li"), box = document.createElement("div");
    item.className = `finding finding-${one.severity}`;
    const said = document.createElement("p"), label = document.createElement("span");
    label.className = "label";
    label.textContent = one.severity === "error" ? words.error : words.warning;
    said.append(label, " ");
    if (one.place) { const code = document.createElement("code"); code.textContent = one.place; said.append(code, " "); }
    marked(said, one.message);
    box.append(said);
    if (one.fix) { const fix = document.createElement("p"); fix.className = "fix"; marked(fix, one.fix); box.append(fix); }
    item.append(box);
    return item;
  }

  function tell(told) {
    for (const list of form.querySelectorAll("[data-told]")) {
      const place = list.dataset.told, entries = told[place] || [];
      list.replaceChildren(...entries.map(entry));
      const field = form.querySelector(`[aria-describedby~="told-${CSS.escape(place)}"]`);
      if (!field) continue;
      if (entries.some((one) => one.severity === "error")) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
  }

  const errorsIn = (told) => Object.values(told).flat().filter((one) => one.severity === "error").length;

  function offer(id, values) {
    document.getElementById(id).replaceChildren(...values.map((value) => { const option = document.createElement("option"); option.value = value; return option; }));
  }
  function offerBootFiles() {
    const folder = form.elements.code_dir.value.replace(/^\/+|\/+$/g, ""), start = folder ? `${folder}/` : "";
    const files = [...document.getElementById("python_files").options].map((option) => option.value);
    offer("boot_files", files.filter((path) => path.startsWith(start)).map((path) => path.slice(start.length)));
  }

  async function ask(action) {
    const mine = ++latest;
    checked.value = "";
    // Not `form.action`, which is the buttons of that name.
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body: content(action), headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.status);
    const asked = await answer.json();
    if (mine !== latest) return null;
    if (asked.told) { tell(asked.told); return { errors: errorsIn(asked.told) }; }
    return await waitFor(asked.check, mine, action);
  }

  async function waitFor(check, mine, action) {
    for (let polls = 0; polls < MOST_POLLS; polls += 1) {
      await sleep(POLL);
      if (mine !== latest) return null;
      const answer = await fetch(words.checks + check);
      if (!answer.ok) throw new Error(answer.status);
      const found = await answer.json();
      if (mine !== latest) return null;
      if (!found.done && !found.late) continue;
      if (!found.done) { checked.value = check; return { late: true, errors: 0 }; }
      if (found.commit) {
        offer("folders", found.folders.filter(Boolean));
        offer("python_files", found.python_files);
        offerBootFiles();
        document.getElementById("listed").textContent = found.commit.slice(0, 10);
      }
      if (action !== "load") { tell(found.told); if (!found.errors) checked.value = check; }
      return { errors: found.errors, cost: found.cost };
    }
    return null;
  }

  function report(result) {
    if (!result) return say("", "");
    if (result.late) say("", words.late);
    else if (result.errors) say("bad", `${result.errors} ${words.errors}`);
    else say("good", words.clean, result.cost);
  }

  async function check() {
    if (!filled()) return;
    say("", words.checking);
    try { report(await ask("check")); } catch { say("bad", words.lost); }
  }

  form.elements.code_dir.addEventListener("input", offerBootFiles);
  let changed;
  form.addEventListener("change", (event) => {
    latest += 1;
    checked.value = "";
    if (event.target.name === "ref" || event.target.name === "commit") listing.known = false;
    clearTimeout(changed);
    changed = setTimeout(check, 600);
  });

  form.addEventListener("submit", async (event) => {
    const action = event.submitter?.value || "create";
    clearTimeout(changed);
    if (action === "add" || sending) return;
    if (action === "create" && checked.value) return;
    event.preventDefault();
    say("", words.checking);
    try {
      const result = await ask(action === "load" ? "load" : "check");
      if (action === "load") return say("", "");
      report(result);
      if (result && result.errors) form.querySelector("[aria-invalid=true]")?.focus();
      else if (result && action === "create") { sending = true; form.requestSubmit(event.submitter); }
    } catch { say("bad", words.lost); }
  });

  if (words.check) {
    latest += 1;
    waitFor(words.check, latest, "check").then(report, () => say("bad", words.lost));
  } else if (!listing.known) ask("load").catch(() => {});
})();
