// A run's page while it trains: the log grows, curves grow, and whatever else has changed is put in its place.
"use strict";
(() => {
  const INTERVAL = 1000, SLOW = 6000, PLOTS_EVERY = 5000, LINES_KEPT = 5000, GIVE_UP_AFTER = 40;
  const run = document.getElementById("run");
  const log = document.getElementById("log");
  const follow = document.getElementById("follow");
  const place = document.querySelector("[data-plots]");
  const drawn = [];

  // Plots

  const COLOURS = ["#2f6fe0", "#d9480f", "#14915a", "#b7791f", "#7c4dd6", "#0c8ba6", "#c2347b", "#5f8a1c"];
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function aligned(curves) {
    const xs = [...new Set(curves.flatMap((curve) => curve.points.map(([x]) => x)))].sort((a, b) => a - b);
    const columns = curves.map((curve) => {
      const at = new Map(curve.points);
      return xs.map((x) => at.get(x));
    });
    return [xs, ...columns];
  }

  function draw(figure, plot) {
    const width = figure.clientWidth - 24;
    const axis = { stroke: style("--quiet"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line"), width: 1 } };
    const few = Math.max(...plot.curves.map((curve) => curve.points.length)) < 60;
    const options = {
      width, height: 240, cursor: { drag: { x: true, y: false } }, scales: { x: { time: false } },
      axes: [axis, { ...axis, size: 64 }],
      series: [{ label: place.dataset.across }, ...plot.curves.map((curve, number) => ({
        label: curve.label, stroke: COLOURS[number % COLOURS.length], width: 1.75, spanGaps: true, points: { show: few, size: 5 },
        dash: number >= COLOURS.length ? [6, 4] : undefined,
        value: (_, value) => (value == null ? "–" : Number(value.toPrecision(6)).toString()),
      }))],
    };
    const title = document.createElement("figcaption");
    title.textContent = plot.title;
    figure.replaceChildren(title);
    return new uPlot(options, aligned(plot.curves), figure);
  }

  function show(plots) {
    if (!place || !window.uPlot) return;
    plots.forEach((plot, number) => {
      const known = drawn[number];
      const same = known && known.labels === JSON.stringify(plot.curves.map((curve) => curve.label));
      if (same) {
        known.plot = plot;
        return known.chart.setData(aligned(plot.curves));
      }
      const figure = place.children[number] || place.appendChild(document.createElement("figure"));
      figure.className = "plot";
      if (known) known.chart.destroy();
      drawn[number] = { figure, plot, chart: draw(figure, plot), labels: JSON.stringify(plot.curves.map((curve) => curve.label)) };
    });
    document.getElementById("plots-section")?.toggleAttribute("hidden", !plots.length);
  }

  function redraw() {
    for (const one of drawn) { one.chart.destroy(); one.chart = draw(one.figure, one.plot); }
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let resized;
  addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(redraw, 200); });
  show([...document.querySelectorAll("[data-plot]")].map((figure) => JSON.parse(figure.dataset.plot)));

  if (!run || !window.fetch) return;

  // The log

  function print(text) {
    if (!text) return;
    log.append(text);
    log.normalize();
    const lines = log.textContent.split("\n");
    if (lines.length > LINES_KEPT) log.textContent = lines.slice(-LINES_KEPT).join("\n");
    document.getElementById("log-empty").hidden = true;
    if (follow.checked) log.scrollTop = log.scrollHeight;
  }
  if (log) {
    log.scrollTop = log.scrollHeight;
    follow.addEventListener("change", () => { if (follow.checked) log.scrollTop = log.scrollHeight; });
    // Who scrolls up wants to read.
    log.addEventListener("wheel", (event) => { if (event.deltaY < 0) follow.checked = false; }, { passive: true });
    log.addEventListener("keydown", (event) => {
      if (["ArrowUp", "PageUp", "Home"].includes(event.key)) follow.checked = false;
      if (event.key === "End") follow.checked = true;
    });
  }

  // The rest

  async function renew() {
    const answer = await fetch(location.pathname, { headers: { accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!log && fresh.getElementById("log")) return location.reload();
    for (const part of run.querySelectorAll("[data-part]")) {
      const other = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!other || part.contains(document.activeElement) && document.activeElement !== document.body) continue;
      part.replaceChildren(...other.childNodes);
      window.trainyard.refine(part);
    }
    document.title = fresh.title;
  }

  // Said once it lasts; one answer that was lost is nobody's concern.
  function say(isLost) {
    const note = document.getElementById("lost");
    if (note.hidden === isLost) note.hidden = !isLost;
  }

  let version = Number(run.dataset.version), next = Number(log?.dataset.next || 0), plotsAt = Date.now(), printed = false, failures = 0;

  async function look() {
    let wait = INTERVAL, settled = false;
    try {
      const answer = await fetch(`${run.dataset.live}?offset=${next}`);
      if (!answer.ok) throw new Error(answer.status);
      const news = await answer.json();
      failures = 0;
      say(false);
      if (log && news.next > next) { print(news.text); next = news.next; printed = true; wait = INTERVAL / 3; }
      settled = news.settled;
      if (news.version !== version) { version = news.version; await renew(); }
      if (settled || printed && Date.now() - plotsAt > PLOTS_EVERY) {
        plotsAt = Date.now(); printed = false;
        const plots = await fetch(place.dataset.plots);
        if (plots.ok) show((await plots.json()).plots);
      }
    } catch {
      failures += 1;
      say(failures > 1);
      wait = Math.min(SLOW * failures, 60000);
    }
    if (!settled && failures < GIVE_UP_AFTER) setTimeout(look, document.hidden ? SLOW : wait);
  }
  if (run.dataset.settled === "no") setTimeout(look, 300);
})();
