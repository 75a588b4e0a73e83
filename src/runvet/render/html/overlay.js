// One metric of two runs over each other: points faint, medians strong, the band of their noise between.

const SIDES = ["base", "other"];
const SIDE_STYLES = new Map([["base", { ink: 1, dash: [] }], ["other", { ink: 2, dash: [] }]]);

// A curve as lanes.js knows it; medians stand in for a trend.
function sideOf(overlay, side) {
  const line = overlay[side], band = line.band;
  return {
    name: side, axis: overlay.axis, role: null, x: line.x, y: line.y, starts: [0], total: line.total, band,
    trend: band ? { x: band.x, y: band.middle, starts: [0], points: band.size } : null,
  };
}

// The band that holds 80 % of the points, clipped to what a logarithmic axis can show.
function drawBand(u, curve) {
  if (!curve.band) return;
  const { ctx, bbox } = u, floor = u.scales.y.distr === 3 ? u.scales.y.min : -Infinity, { x, low, high } = curve.band;
  const at = (i, values) => [u.valToPos(x[i], "x", true), u.valToPos(Math.max(values[i], floor), "y", true)];
  const inside = x.map((_, i) => i).filter((i) => (u.scales.x.distr !== 3 || x[i] > 0) && high[i] > floor);
  if (inside.length < 2) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.beginPath();
  for (const i of inside) ctx.lineTo(...at(i, high));
  for (const i of [...inside].reverse()) ctx.lineTo(...at(i, low));
  ctx.closePath();
  ctx.fillStyle = css(`--ink-${SIDE_STYLES.get(curve.name).ink}`);
  ctx.globalAlpha = 0.2;
  ctx.fill();
  ctx.restore();
}

// The part of the axis in which both runs are compared.
function drawCompared(u, told) {
  if (!finite(told.start) || !finite(told.end)) return;
  const { ctx, bbox } = u, left = edge(u, told.start), right = edge(u, told.end);
  ctx.save();
  ctx.fillStyle = css("--text");
  ctx.globalAlpha = 0.05;
  ctx.fillRect(left, bbox.top, right - left, bbox.height);
  ctx.globalAlpha = 0.45;
  ctx.fillRect(left, bbox.top, right - left, 2 * devicePixelRatio);
  ctx.restore();
}

class OverlayPlot {
  // `panel` = {view, follow(plot, axis, range)}; `told` is what was found of this metric.
  constructor(panel, overlay, told) {
    this.panel = panel;
    this.overlay = overlay;
    this.told = told;
    this.curves = SIDES.map((side) => sideOf(overlay, side)).filter((c) => c.x.length);
    const all = this.curves.map(extent);
    this.whole = [Math.min(...all.map((e) => e[0])), Math.max(...all.map((e) => e[1]))];
    this.readout = el("div", { class: "readout" });
    this.host = el("div", { class: "host", tabindex: "0", role: "img", "aria-label": this.described() });
    this.node = el("div", { class: "figure" }, this.readout, this.host);
  }

  described() {
    return `${this.overlay.name} of both runs by ${this.overlay.axis}. Arrow keys read values, plus and minus zoom.`;
  }

  // Draw anew, in the view of the panel. The host must be on the page.
  draw() {
    this.drop();
    const height = innerWidth > 700 ? 200 : 170;
    const group = { axis: this.overlay.axis, curves: this.curves, styles: SIDE_STYLES, height, top: 8 };
    this.group = group;
    this.plot = makePlot(this.host, group, this.panel.view, {
      zoomed: (u, range) => this.zoomed(range),
      hovered: (u, owners, lines) => this.read(u, owners, lines),
      under: (u) => { drawCompared(u, this.told); this.curves.forEach((c) => drawBand(u, c)); },
      over: () => {},
    });
    this.host.onkeydown = (event) => { if (!event.ctrlKey && !event.metaKey && walk(this.plot, event)) { event.preventDefault(); event.stopPropagation(); } };
    this.read(null, [], []);
  }

  drop() {
    if (this.plot) this.plot.destroy();
    this.plot = null;
  }

  zoomed(range) {
    if (range) {
      const [low, high] = this.whole;
      if (Math.abs(range[0] - low) + Math.abs(range[1] - high) < 1e-6 * (high - low)) return;
    }
    this.panel.follow(this, this.overlay.axis, range);
  }

  show(range) {
    if (!this.plot) return;
    const xs = this.plot.data[0], [min, max] = range || [xs[0], xs[xs.length - 1]];
    const floor = this.panel.view.logX ? xs[0] : -Infinity;
    if (finite(min) && finite(max)) this.plot.setScale("x", { min: Math.max(min, floor), max });
  }

  // Values under the cursor, or the levels that are compared.
  read(u, owners, lines) {
    const at = u && finite(u.cursor.idx) && u.cursor.left >= 0 ? u.cursor.idx : null, values = new Map();
    if (at !== null) u.cursor.idxs.forEach((i, line) => {
      if (line && owners[line - 1] && lines[line - 1] !== "trend" && finite(i) && finite(u.data[line][i])) values.set(owners[line - 1].name, u.data[line][i]);
    });
    const value = (side) => (at === null ? exact(rounded(this.told[side])) : values.has(side) ? exact(values.get(side)) : "–");
    this.readout.replaceChildren(...SIDES.map((side) => el("span", { class: "value" }, swatch(SIDE_STYLES.get(side)), el("span", { class: "name" }, side), el("b", {}, value(side)))),
      el("span", { class: "at" }, at === null ? "late levels" : `${this.overlay.axis} ${short(u.data[0][at])}`));
  }

  resize() {
    if (!this.plot) return;
    const width = Math.max(220, this.host.clientWidth);
    if (Math.abs(width - this.plot.width) > 1) this.plot.setSize({ width, height: this.group.height });
  }
}

const rounded = (value) => (finite(value) ? Number(value.toPrecision(4)) : value);
