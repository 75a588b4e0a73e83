// Voxel grids in three dimensions on plain canvases: the cells that can be seen, far ones first, all turned together.

const MODES = { blocks: () => "colours of ids", loose: () => "loose parts", foreign: (other) => `not in ${other}` };
const LIGHT = [0.62, 0.8, 1, 0.5]; // faces along the first and second level axis, of the top, of the bottom
const LIVE = 20000; // cells that are all drawn again while one turns

const shaded = (colour, light) => `rgb(${[1, 3, 5].map((i) => Math.round(parseInt(colour.slice(i, i + 2), 16) * light)).join(",")})`;
const safeColour = (colour) => (/^#[0-9a-f]{6}$/.test(colour) ? colour : "#888888");
const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

function unpacked(text) {
  if (typeof text !== "string" || !base64.test(text)) return new Uint8Array(0);
  const raw = atob(text), out = new Uint8Array(raw.length - (raw.length % 5));
  for (let i = 0; i < out.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

class Turntable {
  constructor(data, mode) {
    this.palette = (data.palette || []).map((p) => ({ ...p, colour: safeColour(p.colour) }));
    this.up = this.firstUp = [0, 1, 2].includes(data.up) ? data.up : 1;
    this.other = typeof data.other === "string" ? data.other : "the data";
    this.views = [];
    this.home();
    this.canvases = el("div", { class: "turn-groups" }, (data.groups || []).map((g) => this.group(g)));
    const marks = this.views.flatMap((v) => [...v.cells].filter((_, i) => i % 5 === 4));
    this.modes = ["blocks", marks.some((m) => m & 64) && "loose", marks.some((m) => m & 128) && "foreign"].filter(Boolean);
    this.mode = this.modes.includes(mode) ? mode : "blocks";
    this.legend = el("div", { class: "legend" });
    this.tools = el("div", { class: "tools" });
    this.node = el("div", { class: "turn", tabindex: 0, role: "group", "aria-label": "Voxel grids. Arrow keys turn them, plus and minus zoom, c changes the colours, u the upright axis, 0 resets.", onkeydown: (e) => this.key(e) }, this.tools, this.canvases, this.legend);
    this.box();
    this.paint();
    this.controls();
    new MutationObserver(() => this.later()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    new ResizeObserver(() => this.later()).observe(this.node);
  }

  home() { this.yaw = 0.6; this.pitch = 0.45; this.zoom = 1; }

  group(g) {
    return el("div", { class: "turn-group" }, el("h6", {}, g.label), el("div", { class: "turn-row" }, (g.grids || []).map((grid) => {
      const canvas = el("canvas", { role: "img", "aria-label": `${grid.name}: ${grid.facts}` });
      const view = { canvas, cells: unpacked(grid.cells), size: [0, 1, 2].map((i) => ((grid.size || [])[i] > 0 ? grid.size[i] : 1)) };
      this.views.push(view);
      this.listen(view);
      const less = [grid.thinned ? `every ${grid.thinned}th cell drawn` : "", grid.left_out ? `${grouped(String(grid.left_out))} cells not drawn` : ""].filter(Boolean).join(", ");
      return el("figure", {}, canvas, el("figcaption", { title: grid.name }, grid.label || grid.name.split("/").pop(), el("span", { class: "quiet" }, ` ${grid.facts}${less ? `; ${less}` : ""}`)));
    })));
  }

  // The box around the filled cells of all grids: one scale and one middle, so that sizes can be compared.
  box() {
    const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    for (const { cells } of this.views) for (let i = 0; i < cells.length; i += 5) for (let k = 0; k < 3; k++) { const v = cells[i + k]; if (v < low[k]) low[k] = v; if (v > high[k]) high[k] = v; }
    if (low[0] === Infinity) { low.fill(0); high.fill(7); }
    this.low = low; this.high = high;
    this.middle = low.map((v, k) => (v + high[k]) / 2);
    this.across = Math.hypot(...low.map((v, k) => high[k] - v + 1));
  }

  controls() {
    const button = (text, act, pressed) => el("button", { type: "button", class: "tool", onclick: act, "aria-pressed": pressed === undefined ? null : String(pressed) }, text);
    this.tools.replaceChildren(...(this.modes.length > 1 ? this.modes.map((m) => button(MODES[m](this.other), () => { this.mode = m; this.changed(); }, m === this.mode)) : []),
      button(this.big ? "smaller" : "larger", () => this.grow()), button(`up: ${"xyz"[this.up]}`, () => this.stand()), button("reset", () => this.reset()), el("span", { class: "hint" }, "drag to turn"));
    const marks = { loose: [["#d8402f", "loose parts"], ["#8f98a3", "largest part"]], foreign: [["#d8402f", `ids that are not in ${this.other}`], ["#8f98a3", `ids of ${this.other}`]] };
    const rows = marks[this.mode] || this.palette.slice(0, 10).map((p) => [p.colour, `${p.name || p.id}${p.foreign ? ` (not in ${this.other})` : ""}`]);
    const more = !marks[this.mode] && this.palette.length > 10 ? el("span", {}, `${this.palette.length - 10} more`) : null;
    this.legend.replaceChildren(...rows.map(([colour, text]) => el("span", {}, shape("svg", { viewBox: "0 0 10 10", width: 10, height: 10, "aria-hidden": "true" }, shape("rect", { width: 10, height: 10, rx: 2, fill: colour })), " ", text)), ...(more ? [more] : []));
  }

  changed() { this.paint(); this.controls(); this.later(); }
  grow() { this.big = !this.big; this.node.classList.toggle("big", this.big); this.changed(); }
  stand() { this.up = (this.up + 1) % 3; this.changed(); }
  reset() { this.home(); this.up = this.firstUp; this.changed(); }

  // Four shades of every colour of the palette, for the mode that is shown.
  paint() {
    const of = (colour) => LIGHT.map((light) => shaded(colour, light));
    this.shades = this.palette.map((p) => of(p.colour));
    this.rest = of("#9a9a9a");
    this.mark = of("#d8402f");
    this.calm = of("#8f98a3");
  }

  listen(view) {
    const { canvas } = view;
    canvas.addEventListener("pointerdown", (e) => { this.held = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); this.node.focus({ preventScroll: true }); });
    canvas.addEventListener("pointermove", (e) => {
      if (!this.held) return;
      this.turn((e.clientX - this.held[0]) * 0.011, (e.clientY - this.held[1]) * 0.011, view);
      this.held = [e.clientX, e.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { this.held = null; this.later(); });
  }

  turn(yaw, pitch, view) {
    this.yaw -= yaw;
    this.pitch = Math.max(-1.5, Math.min(1.5, this.pitch + pitch));
    this.later(view);
  }

  key(event) {
    const acts = { ArrowLeft: () => this.turn(-0.15, 0), ArrowRight: () => this.turn(0.15, 0), ArrowUp: () => this.turn(0, -0.15), ArrowDown: () => this.turn(0, 0.15), "+": () => this.scale(1.2), "=": () => this.scale(1.2), "-": () => this.scale(1 / 1.2),
      c: () => { this.mode = this.modes[(this.modes.indexOf(this.mode) + 1) % this.modes.length]; this.changed(); }, u: () => this.stand(), 0: () => this.reset() };
    const act = event.ctrlKey || event.metaKey || event.altKey ? null : Object.hasOwn(acts, event.key) ? acts[event.key] : null;
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  scale(by) { this.zoom = Math.max(0.3, Math.min(12, this.zoom * by)); this.later(); }

  later(view) {
    const all = !view || this.views.reduce((n, v) => n + v.cells.length / 5, 0) <= LIVE;
    this.waiting = all ? this.views : this.waiting === this.views ? this.views : [view];
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = 0; const todo = this.waiting; this.waiting = null; todo.forEach((v) => this.draw(v)); });
  }

  draw({ canvas, cells }) {
    const density = Math.min(2, devicePixelRatio || 1), W = Math.round(canvas.clientWidth * density), H = Math.round(canvas.clientHeight * density);
    if (!W || !H) return;
    if (canvas.width !== W || canvas.height !== H) { canvas.width = W; canvas.height = H; }
    const g = canvas.getContext("2d"), scale = (Math.min(W, H) / (this.across * 1.04)) * this.zoom;
    const level = [0, 1, 2].filter((k) => k !== this.up), [sy, cy, sp, cp] = [Math.sin(this.yaw), Math.cos(this.yaw), Math.sin(this.pitch), Math.cos(this.pitch)];
    // Where a step along each axis leads: right, down (both in pixels) and towards the eye.
    const right = [0, 0, 0], down = [0, 0, 0], near = [0, 0, 0];
    right[level[0]] = cy * scale; right[level[1]] = -sy * scale;
    down[level[0]] = sy * sp * scale; down[level[1]] = cy * sp * scale; down[this.up] = -cp * scale;
    near[level[0]] = sy * cp; near[level[1]] = cy * cp; near[this.up] = sp;
    g.clearRect(0, 0, W, H);
    this.floor(g, W, H, right, down);
    const n = cells.length / 5, order = this.ordered(cells, n, near), m = this.middle;
    g.lineWidth = 0.7;
    for (let o = 0; o < n; o++) {
      const i = order[o] * 5, mark = cells[i + 4], dx = cells[i] - m[0], dy = cells[i + 1] - m[1], dz = cells[i + 2] - m[2];
      const x = W / 2 + dx * right[0] + dy * right[1] + dz * right[2], y = H / 2 + dx * down[0] + dy * down[1] + dz * down[2];
      const shades = this.mode === "loose" ? (mark & 64 ? this.mark : this.calm) : this.mode === "foreign" ? (mark & 128 ? this.mark : this.calm) : this.shades[cells[i + 3]] || this.rest;
      for (let k = 0; k < 3; k++) {
        const front = near[k] > 0;
        if (Math.abs(near[k]) < 1e-6 || !(mark & (1 << (2 * k + (front ? 1 : 0))))) continue;
        const s = front ? 0.5 : -0.5, p = (k + 1) % 3, q = (k + 2) % 3, fx = x + s * right[k], fy = y + s * down[k];
        const px = right[p] / 2, py = down[p] / 2, qx = right[q] / 2, qy = down[q] / 2;
        g.fillStyle = g.strokeStyle = shades[k === this.up ? (front ? 2 : 3) : k === level[0] ? 0 : 1];
        g.beginPath(); g.moveTo(fx - px - qx, fy - py - qy); g.lineTo(fx + px - qx, fy + py - qy); g.lineTo(fx + px + qx, fy + py + qy); g.lineTo(fx - px + qx, fy - py + qy); g.closePath(); g.fill(); g.stroke();
      }
    }
  }

  // The cells, far ones first. Equal cubes on a lattice can be ordered by the distance of their middles alone.
  ordered(cells, n, near) {
    const depth = new Float32Array(n), order = new Uint32Array(n), count = new Uint32Array(1025);
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < n; i++) { const d = cells[5 * i] * near[0] + cells[5 * i + 1] * near[1] + cells[5 * i + 2] * near[2]; depth[i] = d; if (d < low) low = d; if (d > high) high = d; }
    const scale = 1023 / (high - low || 1);
    for (let i = 0; i < n; i++) count[((depth[i] - low) * scale | 0) + 1]++;
    for (let b = 0; b < 1024; b++) count[b + 1] += count[b];
    for (let i = 0; i < n; i++) order[count[(depth[i] - low) * scale | 0]++] = i;
    return order;
  }

  floor(g, W, H, right, down) {
    const [a, b] = [0, 1, 2].filter((k) => k !== this.up), at = (u, v) => {
      const d = [0, 0, 0]; d[a] = u - this.middle[a]; d[b] = v - this.middle[b]; d[this.up] = this.low[this.up] - 0.5 - this.middle[this.up];
      return [W / 2 + d[0] * right[0] + d[1] * right[1] + d[2] * right[2], H / 2 + d[0] * down[0] + d[1] * down[1] + d[2] * down[2]];
    };
    const [l, h] = [this.low, this.high];
    g.strokeStyle = css("--faint"); g.lineWidth = 1; g.beginPath();
    [at(l[a] - 0.5, l[b] - 0.5), at(h[a] + 0.5, l[b] - 0.5), at(h[a] + 0.5, h[b] + 0.5), at(l[a] - 0.5, h[b] + 0.5)].forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
    g.closePath(); g.stroke();
  }
}
