// The trial that is under way: two small charts of what /live says of it.
"use strict";
(() => {
  const W = 900, H = 200, LEFT = 50, BOTTOM = 20, TOP = 8;
  const byId = (id) => document.getElementById(id);
  let plan = null, seconds = [];

  const node = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const end = () => Math.max(plan.duration_s || 1, seconds.length ? seconds.at(-1).t + 1 : 1);
  const x = (t) => LEFT + (W - LEFT - 5) * t / end();
  const nice = (most) => {
    const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
    return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= most) || most;
  };
  const y = (value, most) => H - BOTTOM - (H - BOTTOM - TOP) * Math.min(value / most, 1);

  const frame = (svg, most, unit) => {
    svg.replaceChildren();
    for (const fault of plan.faults || []) {
      const to = fault.to_s ?? fault.from_s + 1;
      const band = node("rect", { class: "band", x: x(fault.from_s), y: TOP, width: Math.max(2, x(to) - x(fault.from_s)), height: H - BOTTOM - TOP });
      band.append(node("title", {}, `${fault.kind} on ${fault.harm}, from ${fault.from_s} s`));
      svg.append(band);
    }
    for (const value of [0, most / 2, most]) svg.append(node("text", { x: LEFT - 6, y: y(value, most) + 4, "text-anchor": "end" }, `${+value.toPrecision(3)}${unit}`));
    for (const share of [0, 0.5, 1]) svg.append(node("text", { x: x(end() * share), y: H - 5, "text-anchor": share === 1 ? "end" : "start" }, `${Math.round(end() * share)} s`));
  };

  const stacks = (one) => {
    const of = (key) => (one.main[key] || 0) + (one.others[key] || 0);
    return [["ok", of("ok")], ["failed", of("failed")], ["unknown", of("unknown") + of("unfinished")], ["dropped", of("dropped")]];
  };

  const draw = () => {
    const sums = seconds.map((one) => stacks(one).reduce((sum, [, n]) => sum + n, 0));
    const most = nice(Math.max(1, ...sums));
    const rates = byId("live-rates");
    frame(rates, most, "");
    for (const one of seconds) {
      let below = 0;
      for (const [name, count] of stacks(one)) {
        if (!count) continue;
        const top = y(below + count, most);
        rates.append(node("rect", { class: name, x: x(one.t), y: top, width: Math.max(1, x(one.t + 1) - x(one.t) - 1), height: y(below, most) - top }));
        below += count;
      }
    }
    const times = byId("live-times");
    const slowest = nice(Math.max(1, ...seconds.map((one) => one.p99_ms || 0)));
    frame(times, slowest, "");
    for (const key of ["p50", "p99"]) {
      // A second without an answer is a gap, no zero.
      let path = "", pen = "M";
      for (const one of seconds) {
        const ms = one[`${key}_ms`];
        if (ms === null) { pen = "M"; continue; }
        path += `${pen}${x(one.t + 0.5).toFixed(1)},${y(ms, slowest).toFixed(1)}`;
        pen = "L";
      }
      if (path) times.append(node("path", { class: key, d: path }));
    }
    const last = seconds.at(-1);
    if (last) {
      const said = stacks(last).filter(([, n]) => n).map(([name, n]) => `${n} ${name}`).join(", ");
      const ms = (value) => value === null ? "–" : `${value.toFixed(1)} ms`;
      byId("live-last").textContent = `Second ${last.t}: ${said}; p50 ${ms(last.p50_ms)}, p99 ${ms(last.p99_ms)}`;
    }
  };

  const events = new EventSource("/live");
  events.addEventListener("plan", (event) => {
    plan = JSON.parse(event.data);
    seconds = [];
    byId("live-what").textContent = `${plan.scenario} on ${plan.system}, trial ${plan.trial}: ${Math.round(plan.duration_s)} s of load`;
    byId("live-charts").hidden = false;
    draw();
  });
  events.addEventListener("second", (event) => {
    if (!plan) return;
    seconds.push(JSON.parse(event.data));
    draw();
  });
  events.addEventListener("idle", () => {
    byId("live-what").textContent = plan ? "The load is over; the record is being written, or the next trial prepared. Reload for the list of runs." : "Nothing is under way.";
  });
  events.onerror = () => { byId("live-what").textContent = "loadgen serve has ended, or is not reached."; };
})();
