// The curves of one stage: which metrics, on what axes, with the places of the findings marked.

const mostPanels = () => (innerWidth > 700 ? 3 : 1); // plots shown before anybody asks for more
const MOST_CHIPS = 14; // metrics offered before the list must be searched

// The metrics shown at first: those that findings point at, the lead curve, its relatives, then rate and gradients.
function firstShown(curves, stage, findings) {
  const wanted = new Set([stage.lead, ...findings.map((f) => f.window && f.window.series)].filter(Boolean));
  const kinds = new Set(curves.filter((c) => wanted.has(c.name)).map(kindOf));
  const lead = curves.find((c) => c.name === stage.lead);
  for (const role of ["val_loss", "lr", "grad_norm"]) {
    const more = curves.find((c) => c.role === role && (!lead || c.axis === lead.axis || kinds.size === 0));
    if (more && (kinds.has(kindOf(more)) || kinds.size < mostPanels())) { wanted.add(more.name); kinds.add(kindOf(more)); }
  }
  const shown = new Set(curves.filter((c) => wanted.has(c.name)).map((c) => c.name));
  if (!shown.size && curves.length) shown.add(curves[0].name);
  return shown;
}

function groupsOf(curves, shown, lead) {
  const styles = new Map(), groups = new Map();
  for (const curve of curves.filter((c) => shown.has(c.name))) {
    const kind = kindOf(curve);
    if (!groups.has(kind)) groups.set(kind, { axis: curve.axis, curves: [], styles });
    const group = groups.get(kind);
    group.curves.push(curve);
  }
  const ordered = [...groups.values()].sort((a, b) => Number(b.curves.some((c) => c.name === lead)) - Number(a.curves.some((c) => c.name === lead)));
  let place = 0;
  for (const group of ordered) for (const curve of group.curves) styles.set(curve.name, styleOf(place++));
  return ordered;
}

class Panel {
  constructor(app) {
    this.app = app;
    this.node = el("section", { class: "panel", "aria-label": "Curves" });
    this.view = { logX: false, logY: false, means: false };
    this.range = null;
    this.plots = [];
    this.observer = new ResizeObserver(() => this.resize());
  }

  // Show a stage anew.
  open(report, stage) {
    this.report = report;
    this.stage = stage;
    this.curves = curvesOf(report, stage);
    this.findings = report.findings.filter((f) => f.stage === stage.name);
    this.shown = firstShown(this.curves, stage, this.findings);
    this.range = null;
    this.active = null;
    this.filter = "";
    this.draw();
  }

  draw() {
    this.drop();
    this.body = el("div", { class: "plots" });
    this.status = el("p", { class: "note", "aria-live": "polite" });
    const tabs = this.report.stages.length > 1 && this.app.tabs(this.stage);
    this.node.replaceChildren(...[tabs, stageFacts(this.stage), this.curves.length ? this.toolbar() : null, this.body, this.status, this.chips(), windowTable(this.stage)].filter(Boolean));
    this.plots = groupsOf(this.curves, this.shown, this.stage.lead).map((group, i) => this.plot(group, i));
    this.say();
    this.observer.observe(this.body);
    if (this.range) this.zoom(this.range, this.rangeAxis);
  }

  drop() {
    this.observer.disconnect();
    this.plots.forEach((p) => p.plot.destroy());
    this.plots = [];
  }

  toolbar() {
    const toggle = (key, text, title) => el("button", { type: "button", class: "tool", "data-tool": key, "aria-pressed": String(this.view[key]), title, onclick: () => this.toggle(key) }, text);
    this.reset = el("button", { type: "button", class: "tool", "data-tool": "reset", title: "Show everything (r)", disabled: !this.range, onclick: () => this.zoom(null) }, "Reset zoom");
    return el("div", { class: "toolbar", role: "toolbar", "aria-label": "Axes and zoom" },
      toggle("logY", "log y", "Logarithmic values (l)"), toggle("logX", "log x", "Logarithmic steps (x)"),
      this.stage.windows.length ? toggle("means", "means", "Mean of each window over the lead curve (m)") : null,
      el("span", { class: "hint" }, "drag to zoom"), this.reset);
  }

  toggle(key) {
    this.view[key] = !this.view[key];
    this.draw();
    const tool = this.node.querySelector(`[data-tool="${key}"]`);
    if (tool) tool.focus({ preventScroll: true });
  }

  plot(group, place) {
    const names = group.curves.map((c) => c.name);
    const places = this.findings.map((finding) => ({ ...placeOf(finding, this.stage), finding })).filter((p) => names.includes(p.series) && p.axis === group.axis);
    const readout = el("div", { class: "readout" }), layer = el("div", { class: "tags" });
    const host = el("div", { class: "host", tabindex: "0", role: "img", "aria-label": this.described(group) });
    this.body.append(el("figure", { class: "figure" }, readout, host));
    const all = group.curves.map(extent), whole = [Math.min(...all.map((e) => e[0])), Math.max(...all.map((e) => e[1]))];
    const rows = stack(places, whole, Math.max(160, host.clientWidth - 66));
    const roomy = innerWidth > 700;
    const sized = { ...group, height: (place === 0 ? (roomy ? 250 : 210) : roomy ? 122 : 116) + rows * ROW, top: rows ? rows * ROW + 6 : 8 };
    const seams = [...new Set(group.curves.flatMap(seamsOf))].sort((a, b) => a - b).slice(0, 200);
    const entry = { group: sized, readout, host, layer, places, whole };
    entry.plot = makePlot(host, sized, this.view, {
      zoomed: (u, range) => this.zoomed(entry, u, range),
      hovered: (u, owners, lines) => this.read(entry, u, owners, lines),
      under: (u) => drawBands(u, places, this.active),
      over: (u) => {
        if (this.view.means && names.includes(this.stage.lead)) drawMeans(u, this.stage.windows);
        drawSeams(u, seams);
        drawTags(u, layer, places, this.active, (f) => this.app.choose(f, { from: "curve" }));
      },
    });
    host.firstElementChild.append(layer);
    host.addEventListener("keydown", (event) => { if (!event.ctrlKey && !event.metaKey && walk(entry.plot, event)) { event.preventDefault(); event.stopPropagation(); } });
    this.read(entry, null, [], []);
    return entry;
  }

  described(group) {
    const told = group.curves.map((c) => {
      const s = this.stage.series.find((one) => one.name === c.name);
      return c.name + (s ? `, from ${exact(s.first)} to ${exact(s.last)}, lowest ${exact(s.min)}, highest ${exact(s.max)}` : "");
    });
    return `Curve of ${told.join("; ")}. Arrow keys read values, plus and minus zoom.`;
  }

  // Values under the cursor, or the last ones.
  read(entry, u, owners, lines) {
    const at = u && u.cursor && finite(u.cursor.idx) && u.cursor.left >= 0 ? u.cursor.idx : null, values = new Map();
    if (at !== null) u.cursor.idxs.forEach((i, line) => {
      const owner = owners[line - 1];
      if (line && owner && lines[line - 1] !== "trend" && finite(i) && finite(u.data[line][i])) values.set(owner.name, [u.data[0][i], u.data[line][i]]);
    });
    const x = at === null ? null : u.data[0][at];
    entry.readout.replaceChildren(...entry.group.curves.map((c) => {
      const found = values.get(c.name), last = this.stage.series.find((s) => s.name === c.name);
      const value = at === null ? (last ? exact(last.last) : "") : found ? exact(found[1]) : "–";
      const off = found && Math.abs(found[0] - x) > 1e-9 * Math.max(1, Math.abs(x)) ? ` at ${short(found[0])}` : "";
      return el("span", { class: "value" }, swatch(entry.group.styles.get(c.name)), el("span", { class: "name", title: c.name }, c.name), el("b", {}, value), off && el("small", {}, off));
    }), el("span", { class: "at" }, at === null ? "last values" : `${entry.group.axis} ${short(x)}`));
  }

  // A plot was zoomed, by hand or by us: the others on the same axis follow.
  zoomed(entry, u, range) {
    if (!this.plots.length || this.following) return;
    if (range === null) { this.zoom(null); return; }
    const [low, high] = entry.whole;
    if (Math.abs(range[0] - low) + Math.abs(range[1] - high) < 1e-6 * (high - low)) return;
    this.zoom(range, entry.group.axis, entry);
  }

  zoom(range, axis, except) {
    this.following = true;
    this.range = range;
    this.rangeAxis = axis;
    for (const entry of this.plots) {
      if (entry === except) continue;
      if (range && entry.group.axis !== axis) continue;
      const floor = this.view.logX ? entry.plot.data[0][0] : -Infinity;
      const [min, max] = range || [entry.plot.data[0][0], entry.plot.data[0][entry.plot.data[0].length - 1]];
      if (finite(min) && finite(max)) entry.plot.setScale("x", { min: Math.max(min, floor), max });
    }
    if (this.reset) this.reset.disabled = !range;
    queueMicrotask(() => { this.following = false; });
  }

  // Mark a finding and zoom to its place, with some room around it.
  show(finding) {
    this.active = finding;
    const place = placeOf(finding, this.stage);
    const curve = place && this.curves.find((c) => c.name === place.series && c.axis === place.axis);
    if (!curve) { this.plots.forEach((p) => p.plot.redraw(false)); return false; }
    const [low, high] = extent(curve), room = Math.max((place.end - place.start) * 0.15, (high - low) * (place.since ? 0.08 : 0.02));
    const wide = [Math.max(low, place.start - room), Math.min(high, place.end + room)];
    this.range = wide[1] - wide[0] > 0.9 * (high - low) || wide[0] >= wide[1] ? null : wide;
    this.rangeAxis = place.axis;
    const hidden = !this.shown.has(place.series);
    if (hidden) { this.shown.add(place.series); this.draw(); } else { this.zoom(this.range, place.axis); this.plots.forEach((p) => p.plot.redraw(false)); }
    return true;
  }

  chips() {
    if (this.curves.length < 2) return null;
    const box = el("div", { class: "chips", role: "group", "aria-label": "Metrics" });
    const styles = new Map(groupsOf(this.curves, this.shown, this.stage.lead).flatMap((g) => g.curves.map((c) => [c.name, g.styles.get(c.name)])));
    const list = () => {
      const fits = this.curves.filter((c) => c.name.toLowerCase().includes(this.filter.toLowerCase()));
      const some = [...fits.filter((c) => this.shown.has(c.name)), ...fits.filter((c) => !this.shown.has(c.name))].slice(0, this.filter ? 60 : Math.max(MOST_CHIPS, this.shown.size));
      box.replaceChildren(...some.map((c) => el("button", { type: "button", class: "chip", "aria-pressed": String(this.shown.has(c.name)), title: c.role || "", onclick: () => this.pick(c.name) },
        styles.has(c.name) ? swatch(styles.get(c.name)) : el("i", { class: "plus", "aria-hidden": "true" }, "+"), c.name)), fits.length > some.length ? el("span", { class: "hint" }, `${fits.length - some.length} more: type to search`) : "");
    };
    list();
    const search = this.curves.length > MOST_CHIPS && el("input", { type: "search", class: "search", placeholder: "find a metric  (/)", "aria-label": "Find a metric", value: this.filter, oninput: (event) => { this.filter = event.target.value; list(); } });
    return el("div", { class: "metrics" }, search, box);
  }

  pick(name) {
    if (this.shown.has(name)) { if (this.shown.size > 1) this.shown.delete(name); } else this.shown.add(name);
    this.draw();
    [...this.node.querySelectorAll(".chip")].find((chip) => chip.textContent.endsWith(name))?.focus({ preventScroll: true });
  }

  // How much of the curves is drawn, in words.
  say() {
    const drawn = this.curves.filter((c) => this.shown.has(c.name)), told = [];
    for (const c of drawn) {
      if (c.coarse) told.push(`${c.name}: ${c.x.length} medians of ${plural(c.total, "point")}, as saved without curves`);
      else if (c.thinned > 1) told.push(`${c.name}: drawn ${grouped(String(c.x.length))} of ${plural(c.total, "point")}, extremes kept of every ${c.thinned}th that was read`);
      else if (c.x.length < c.total) told.push(`${c.name}: drawn ${grouped(String(c.x.length))} of ${plural(c.total, "point")}, extremes kept`);
    }
    const noisy = drawn.filter((c) => c.trend).map((c) => c.trend.points);
    if (noisy.length) told.push(`strong lines: medians of ${[...new Set(noisy)].sort((a, b) => a - b).map((n) => grouped(String(n))).join(", ")} points; faint ones: the points`);
    const lost = this.plots.reduce((sum, p) => sum + p.plot.hiddenPoints, 0), missing = this.stage.series.length - this.curves.length;
    if (lost) told.push(`${plural(lost, "point")} at or below zero cannot stand on a logarithmic axis`);
    if (missing > 0 && this.curves.length && !this.curves[0].coarse) told.push(`${plural(missing, "more metric")} without a drawing, to keep this file small`);
    if (!this.curves.length) told.push("No curve to draw.");
    this.status.textContent = told.length > 5 ? [...told.slice(0, 3), `${told.length - 4} more likewise`, told[told.length - 1]].join(" · ") : told.join(" · ");
  }

  resize() {
    for (const entry of this.plots) {
      const width = Math.max(220, entry.host.clientWidth);
      if (Math.abs(width - entry.plot.width) > 1) entry.plot.setSize({ width, height: entry.group.height });
    }
  }
}
