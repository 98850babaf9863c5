// Draws the page's charts from the JSON in it. It knows no kind of chart, and asks no network.
(() => {
  "use strict";
  const charts = JSON.parse(document.getElementById("chart-data").textContent);
  const screenIsDark = matchMedia("screen and (prefers-color-scheme: dark)");
  const HEIGHT = 210;
  const MARKS = [[0.301, "50 %"], [1, "90 %"], [2, "99 %"], [3, "99.9 %"], [4, "99.99 %"], [5, "99.999 %"]];
  const groups = new Map();
  const drawn = [];
  document.documentElement.classList.add("with-script");

  const element = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text) made.textContent = text;
    return made;
  };
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const digits = v => {
    const size = Math.abs(v);
    return String(+v.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2));
  };
  const time = ms => ms === 0 ? "0 ms" : ms < 0.0995 ? digits(ms * 1e3) + " µs" : ms < 999.5 ? digits(ms) + " ms" : digits(ms / 1e3) + " s";
  const count = v => Math.abs(v) >= 1000 ? Math.round(v).toLocaleString("en") : digits(v);
  const percent = v => digits(v * 100) + " %";
  const value = (chart, line, v) => v == null ? "–" : line.shape === "strip" ? percent(v) : chart.y.is_time ? time(v) : count(v);
  const place = (chart, x) => chart.x.kind === "seconds" ? digits(x) + " s" : "p" + digits(100 * (1 - 10 ** -x));

  // Stacked lines become sums of those below them; the highest is drawn first.
  const layers = (chart, panel, shown) => {
    const order = chart.lines.map((line, at) => ({ line, at }));
    const stacked = order.filter(({ line }) => line.shape === "stacked");
    const below = panel.x.map(() => 0);
    const sums = new Map();
    for (const { at } of stacked) {
      if (shown[at]) panel.y[at].forEach((v, n) => { below[n] += v ?? 0; });
      sums.set(at, below.slice());
    }
    const others = order.filter(({ line }) => line.shape !== "stacked");
    const singles = panel.single.map(([at, y]) => ({ line: chart.lines[at], at, y, single: true }));
    return [
      ...stacked.reverse().map(({ line, at }) => ({ line, at, y: sums.get(at) })),
      ...singles,
      ...others.map(({ line, at }) => ({ line, at, y: panel.y[at] })),
    ];
  };

  const series = (chart, panel, layer) => {
    const { line } = layer;
    const ink = colour(line.colour === "system" ? "s" + panel.colour % 8 : line.colour);
    const made = { label: line.name, stroke: ink, width: 2.2, points: { size: 5, fill: ink }, spanGaps: false };
    if (layer.single) return { ...made, width: 1, alpha: 0.35, points: { show: false } };
    switch (line.shape) {
      case "thin": return { ...made, width: 1.2 };
      case "dashed": return { ...made, width: 1.8, dash: [6, 4] };
      case "area": return { ...made, width: 1, fill: ink + "55", points: { show: false } };
      case "stacked": return { ...made, width: 0, fill: ink, points: { show: false }, paths: uPlot.paths.bars({ size: [1, Infinity], gap: 0 }) };
      case "doubt": return { ...made, stroke: null, width: 0, points: { show: false } };
      case "strip": return { ...made, scale: "share", paths: () => null, points: { show: false } };
      default: return made;
    }
  };

  // The area between the first line and how low it may have been.
  const doubts = (chart, panel, made) => {
    const place = wanted => made.findIndex(wanted) + 1;
    const upper = place(layer => layer.at === 0 && !layer.single);
    const lower = place(layer => layer.line.shape === "doubt");
    return lower ? [{ series: [upper, lower], fill: colour("s" + panel.colour % 8) + "40" }] : [];
  };

  const rectangle = (u, from, to, fill) => {
    const left = Math.max(u.valToPos(from, "x", true), u.bbox.left);
    const right = Math.min(u.valToPos(to, "x", true), u.bbox.left + u.bbox.width);
    if (right <= left) return;
    u.ctx.fillStyle = fill;
    u.ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
  };
  const behind = (chart, panel) => u => {
    if (chart.x.kind !== "seconds") return;
    rectangle(u, 0, chart.x.warm_up, colour("warm-up"));
    for (const band of panel.bands) {
      const seen = band.effective ?? band.to;
      rectangle(u, band.from, seen, colour("band-pale"));
      rectangle(u, seen, band.to, colour("band"));
      if (band.is_fault && band.effective != null) rectangle(u, seen, seen + (u.scales.x.max - u.scales.x.min) / u.bbox.width * 1.5 * devicePixelRatio, colour("onset"));
    }
  };
  const strip = (chart, panel, shown) => u => {
    chart.lines.forEach((line, at) => {
      if (line.shape !== "strip" || !shown[at]) return;
      const half = (panel.x[1] - panel.x[0]) / 2 || 0.5;
      const height = 8 * devicePixelRatio;
      u.ctx.fillStyle = colour(line.colour);
      panel.x.forEach((x, n) => {
        const share = panel.y[at][n];
        if (!share) return;
        const left = Math.max(u.valToPos(x - half, "x", true), u.bbox.left);
        const right = Math.min(u.valToPos(x + half, "x", true), u.bbox.left + u.bbox.width);
        if (right <= left) return;
        u.ctx.globalAlpha = 0.2 + 0.8 * share;
        u.ctx.fillRect(left, u.bbox.top + u.bbox.height - height, right - left, height);
      });
      u.ctx.globalAlpha = 1;
    });
  };

  // Cursor and zoom of all charts of one scenario move together.
  let passing = false;
  const pass = (group, u, tell) => {
    if (passing) return;
    passing = true;
    for (const { plot } of group.members) if (plot && plot !== u) tell(plot);
    passing = false;
  };
  // What is told to the others comes back from them later: only a change is passed on.
  const zoom = (group, to) => {
    group.zoom = to;
    for (const { plot } of group.members) {
      if (plot && (plot.scales.x.min !== to.min || plot.scales.x.max !== to.max)) plot.setScale("x", to);
    }
  };

  const axes = chart => {
    const look = { stroke: colour("soft"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("line"), width: 1, size: 4 }, font: "12px system-ui, sans-serif" };
    const x = chart.x.kind === "seconds"
      ? { ...look, values: (u, at) => at.map(v => digits(v) + " s"), space: 60, size: 28 }
      : { ...look, splits: (u, axis, min, max) => MARKS.map(m => m[0]).filter(v => v >= min && v <= max), values: (u, at) => at.map(v => MARKS.find(m => m[0] === v)?.[1] ?? ""), space: 10, size: 28 };
    const label = v => v == null ? "" : chart.y.is_time ? time(v) : count(v);
    const y = { ...look, size: 58, values: (u, at) => at.map(label) };
    if (chart.y.is_log) {
      const isMarked = v => chart.y.hi / chart.y.lo < 50 || Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-6;
      y.filter = (u, at) => at.map(v => isMarked(v) ? v : null);
      y.grid = { ...look.grid, filter: y.filter };
      y.ticks = { ...look.ticks, filter: y.filter };
    }
    return [x, y];
  };

  const show = (mounted, at) => {
    const { chart, panel, readout, shown } = mounted;
    if (at == null) { readout.textContent = mounted.rest; return; }
    const band = panel.bands.find(b => b.from <= panel.x[at] && panel.x[at] < b.to);
    const isSilent = { doubt: v => v >= panel.y[0][at], strip: v => !v };
    const isTold = (line, n) => shown[n] && !isSilent[line.shape]?.(panel.y[n][at]);
    const told = chart.lines.map((line, n) => isTold(line, n) ? `${line.name} ${value(chart, line, panel.y[n][at])}` : null);
    readout.textContent = `${place(chart, panel.x[at])}: ${told.filter(t => t).join(", ")}${band ? " (" + band.what + ")" : ""}`;
  };

  const build = mounted => {
    const { chart, panel, box, group, shown } = mounted;
    mounted.plot?.destroy();
    mounted.plot = null;
    const made = layers(chart, panel, shown);
    const plot = new uPlot({
      width: Math.max(box.clientWidth, 200), height: HEIGHT, legend: { show: false }, padding: [10, 12, 0, 0],
      cursor: { y: false, drag: { x: true, y: false, setScale: true }, points: { size: 6 }, bind: { dblclick: () => () => zoom(group, whole(chart)) } },
      scales: { x: { time: false }, y: { distr: chart.y.is_log ? 3 : 1, range: [chart.y.lo, chart.y.hi] }, share: { range: [0, 1] } },
      axes: axes(chart),
      bands: doubts(chart, panel, made),
      series: [{}, ...made.map(layer => ({ ...series(chart, panel, layer), show: shown[layer.at] }))],
      hooks: {
        drawClear: [behind(chart, panel)],
        draw: [strip(chart, panel, shown)],
        setCursor: [u => {
          show(mounted, u.cursor.idx);
          const at = u.cursor.left >= 0 ? u.posToVal(u.cursor.left, "x") : null;
          pass(group, u, other => other.setCursor(at == null ? { left: -10, top: -10 } : { left: other.valToPos(at, "x"), top: 10 }));
        }],
        setScale: [(u, key) => {
          if (key !== "x") return;
          box.dataset.range = rangeText(u.scales.x);
          if (mounted.plot === u) zoom(group, { min: u.scales.x.min, max: u.scales.x.max });
        }],
      },
    }, [panel.x, ...made.map(({ line, y }) => line.shape === "strip" ? y.map(() => null) : y)], box);
    plot.setScale("x", group.zoom);
    plot.root.querySelectorAll("canvas").forEach(canvas => canvas.setAttribute("aria-hidden", "true"));
    // After its first drawing, so that the range of its data is not told to the others.
    queueMicrotask(() => queueMicrotask(() => { mounted.plot = plot; }));
  };
  const rangeText = ({ min, max }) => `${digits(min)} to ${digits(max)}`;
  const whole = chart => ({ min: 0, max: chart.x.end });

  const keys = mounted => event => {
    const { plot, panel } = mounted;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (event.key === "Escape") { zoom(mounted.group, whole(mounted.chart)); plot.setCursor({ left: -10, top: -10 }); }
    if (!step || !plot) return;
    event.preventDefault();
    const at = Math.min(Math.max((plot.cursor.idx ?? -1) + step, 0), panel.x.length - 1);
    plot.setCursor({ left: plot.valToPos(panel.x[at], "x"), top: 10 });
  };

  const legend = (chart, shown, mounts) => {
    const box = element("div", "legend");
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Lines shown");
    chart.lines.forEach((line, at) => {
      const button = element("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      const swatch = element("i", "swatch " + line.shape);
      swatch.style.setProperty("--c", line.colour === "system" ? "var(--soft)" : `var(--${line.colour})`);
      button.append(swatch, line.name);
      button.onclick = () => {
        shown[at] = !shown[at];
        button.setAttribute("aria-pressed", String(shown[at]));
        mounts.filter(mounted => mounted.plot).forEach(build);
      };
      box.append(button);
    });
    const notes = [];
    if (chart.panels.some(panel => panel.bands.length)) notes.push(["band", chart.panels.some(p => p.bands.some(b => b.is_fault)) ? "shaded: fault active" : "shaded: the phase “during”"]);
    if (chart.x.warm_up) notes.push(["warm-up", "grey: warm-up, in no figure"]);
    for (const [name, text] of notes) {
      const note = element("span");
      const swatch = element("i", "swatch");
      swatch.style.setProperty("--c", `var(--${name})`);
      note.append(swatch, text);
      box.append(note);
    }
    return box;
  };

  const mount = live => {
    const chart = charts[live.dataset.chart];
    const key = chart.x.kind === "seconds" ? live.closest("section").id : live.dataset.chart;
    if (!groups.has(key)) groups.set(key, { members: [], zoom: whole(chart) });
    const group = groups.get(key);
    const shown = chart.lines.map(() => true);
    const mounts = [];
    const panels = element("div", "panels");
    for (const panel of chart.panels) {
      const root = element("div", panel.excluded ? "panel excluded" : "panel");
      const name = element("p", "panel-name");
      if (panel.colour != null) name.append(element("span", "dot s" + panel.colour % 8));
      name.append(element("strong", "", panel.name), ` ${panel.note}${panel.excluded ? ". " + panel.excluded : ""}`);
      const box = element("div", "plot");
      box.tabIndex = 0;
      box.dataset.whole = rangeText(whole(chart));
      box.setAttribute("role", "img");
      box.setAttribute("aria-label", `${panel.name}. ${live.dataset.seen} Arrow keys tell values.`);
      const readout = element("p", "readout");
      readout.setAttribute("aria-live", "polite");
      const mounted = { chart, panel, box, readout, group, shown, plot: null, rest: chart.x.step > 1 ? `Each point stands for ${chart.x.step} s.` : "" };
      readout.textContent = mounted.rest;
      box.addEventListener("keydown", keys(mounted));
      root.append(name, box, readout);
      panels.append(root);
      mounts.push(mounted);
    }
    live.append(legend(chart, shown, mounts), panels);
    mounts.forEach(mounted => {
      group.members.push(mounted);
      drawn.push(mounted);
      build(mounted);
    });
  };

  const waiting = new Set(document.querySelectorAll(".live"));
  const start = live => { if (waiting.delete(live)) mount(live); };
  const seen = new IntersectionObserver(entries => entries.filter(e => e.isIntersecting).forEach(e => { seen.unobserve(e.target); start(e.target); }), { rootMargin: "600px" });
  waiting.forEach(live => seen.observe(live));
  const resized = new ResizeObserver(() => drawn.forEach(({ plot, box }) => {
    if (plot && box.clientWidth > 0 && plot.width !== box.clientWidth) plot.setSize({ width: box.clientWidth, height: HEIGHT });
  }));
  resized.observe(document.body);
  screenIsDark.addEventListener("change", () => drawn.forEach(build));
  addEventListener("beforeprint", () => { [...waiting].forEach(start); document.querySelectorAll("details").forEach(d => { d.dataset.was = d.open; d.open = true; }); });
  addEventListener("afterprint", () => document.querySelectorAll("details").forEach(d => { d.open = d.dataset.was === "true"; }));
})();
