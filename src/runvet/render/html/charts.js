// Plots of figures as SVG: histograms, scatter with range bars, plan views, ranges. Colours come from the style sheet.

const ROLES = { truth: "ink-1", data: "ink-1", prediction: "ink-2", samples: "ink-2", here: "ink-2", there: "ink-1", training: "ink-1", sampling: "ink-2", "in use": "ink-2", error: "ink-2", "size of the truth": "ink-1", steady: "ink-7 dashed" };
const DEPTH = ["prediction", "data", "truth", "steady"]; // what is drawn last lies on top
const ROLE_NAMES = { steady: "constant velocity" };
const inkOf = (role, place) => (Object.hasOwn(ROLES, role) ? ROLES[role] : `ink-${(place % INKS) + 1}`);
const numeric = (list) => (Array.isArray(list) ? list : []).map((v) => (finite(v) ? v : 0));
const svgText = (x, y, text, anchor) => shape("text", { x, y, "text-anchor": anchor || "start" }, text);

function legend(roles) {
  return el("div", { class: "legend" }, roles.map((role, i) => el("span", {}, shape("svg", { class: "swatch", viewBox: "0 0 20 8", width: 20, height: 8, "aria-hidden": "true" },
    shape("line", { class: inkOf(role, i), x1: 1, x2: 19, y1: 4, y2: 4, "stroke-width": 3 })), " ", ROLE_NAMES[role] || role)));
}

function histogramChart(panel) {
  const W = 360, H = 116, base = H - 22, edges = numeric(panel.edges), sets = (panel.sets || []).map((s) => ({ ...s, shares: numeric(s.shares), values: numeric(s.values) }));
  const low = edges[0], high = edges[edges.length - 1], top = Math.max(1e-9, ...sets.flatMap((s) => s.shares));
  const one = edges.length === 2, from = one ? W / 2 - 12 : 6; // a single value is a narrow bar, not a wide one
  const px = (v) => from + ((v - low) / (high - low || 1)) * (W - 2 * from), py = (v) => base - (v / top) * (base - 8);
  const outline = (s) => `M${px(low)} ${base}` + s.shares.map((v, i) => `L${px(edges[i]).toFixed(1)} ${py(v).toFixed(1)}L${px(edges[i + 1]).toFixed(1)} ${py(v).toFixed(1)}`).join("") + `L${px(high)} ${base}`;
  const told = sets.map((s) => `${s.name}: median ${short(s.median)}, n = ${short(s.n)}`).join("; ");
  const ordered = [...sets].reverse();
  return el("div", { class: "chart" }, el("h6", {}, panel.title, panel.unit ? el("span", { class: "unit" }, ` ${panel.unit}`) : null),
    shape("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${panel.title}: ${told}` },
      shape("line", { class: "axis", x1: 6, x2: W - 6, y1: base, y2: base }),
      ordered.map((s) => { const ink = inkOf(s.name, sets.indexOf(s)); return shape("g", { class: ink }, shape("path", { class: "area", d: outline(s) }), shape("path", { class: "outline", d: outline(s) }),
        shape("path", { class: "rug", d: s.values.map((v) => `M${px(v).toFixed(1)} ${base}v5`).join("") })); }),
      one ? svgText(W / 2, H - 4, short((low + high) / 2), "middle") : [svgText(6, H - 4, short(low)), svgText(W - 6, H - 4, short(high), "end")]),
    el("p", { class: "key" }, sets.map((s, i) => el("span", {}, shape("svg", { class: "swatch", viewBox: "0 0 20 8", width: 20, height: 8, "aria-hidden": "true" }, shape("line", { class: inkOf(s.name, i), x1: 1, x2: 19, y1: 4, y2: 4, "stroke-width": 3 })),
      ` ${s.name}: median `, el("b", {}, short(s.median)), `, n = ${short(s.n)}`))));
}

function scatterChart(data) {
  const W = 360, H = 300, left = 26, bottom = H - 30, x = numeric(data.x), y = numeric(data.y), { x: rx = {}, y: ry = {} } = data.ranges || {}, [nx, ny] = data.axes || ["truth", "prediction"];
  if (!x.length || x.length !== y.length) throw new Error("no points");
  const every = [...x, ...y], low = Math.min(...every), high = Math.max(...every), span = high - low || 1;
  const px = (v) => left + ((v - low) / span) * (W - left - 8), py = (v) => bottom - ((v - low) / span) * (bottom - 10);
  const bar = (r, role, across) => { const at = (v) => (across ? px(v) : py(v)), line = (a, b, width) => shape("line", across ? { x1: at(a), x2: at(b), y1: bottom + 9, y2: bottom + 9, "stroke-width": width } : { y1: at(a), y2: at(b), x1: left - 9, x2: left - 9, "stroke-width": width });
    return finite(r.low) && finite(r.high) ? shape("g", { class: `bar ${inkOf(role, across ? 0 : 1)}` }, line(r.low, r.high, 2), line(r.low95, r.high95, 6)) : null; };
  const told = (r) => `${short(r.low)} to ${short(r.high)}`;
  return el("div", { class: "chart" }, shape("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${ny} against ${nx}; ${nx} ${told(rx)}, ${ny} ${told(ry)}` },
    shape("rect", { class: "frame", x: left, y: 10, width: W - left - 8, height: bottom - 10 }),
    shape("line", { class: "equal", x1: px(low), y1: py(low), x2: px(high), y2: py(high) }),
    shape("path", { class: x.length < 50 ? "points few" : "points", d: x.map((v, i) => `M${px(v).toFixed(1)} ${py(y[i]).toFixed(1)}h0`).join("") }),
    bar(rx, "truth", true), bar(ry, "prediction", false),
    svgText(left, H - 5, short(low)), svgText(W - 8, H - 5, short(high), "end"), svgText((left + W) / 2, H - 5, nx, "middle")),
  el("p", { class: "key" }, el("span", {}, `${nx} `, el("b", {}, told(rx)), `, 95 % in ${short(rx.low95)} to ${short(rx.high95)}`), el("span", {}, `${ny} `, el("b", {}, told(ry)), `, 95 % in ${short(ry.low95)} to ${short(ry.high95)}`)),
  el("p", { class: "quiet small" }, data.facts ? `${data.facts}. ` : "", "Dashed: equal. Bars: whole range, thick the central 95 %."));
}

function pathsChart(data) {
  const items = (data.items || []).map((item) => ({ ...item, lines: (item.lines || []).map((l) => ({ ...l, points: numeric(l.points) })) }));
  const roles = [...new Set(items.flatMap((i) => i.lines.map((l) => l.role)))];
  const one = (item) => {
    const own = item.lines.filter((l) => l.role !== "steady").flatMap((l) => l.points), xs = own.filter((_, i) => i % 2 === 0), ys = own.filter((_, i) => i % 2);
    const lowX = Math.min(...xs), lowY = Math.min(...ys), wide = Math.max(Math.max(...xs) - lowX, Math.max(...ys) - lowY) || 1;
    const midX = (Math.max(...xs) + lowX) / 2, midY = (Math.max(...ys) + lowY) / 2;
    const px = (v) => 70 + ((v - midX) / wide) * 120, py = (v) => 70 - ((v - midY) / wide) * 120;
    const trace = (p) => { let d = ""; for (let i = 0; i + 1 < p.length; i += 2) d += `${i ? "L" : "M"}${px(p[i]).toFixed(1)} ${py(p[i + 1]).toFixed(1)}`; return d; };
    return el("figure", { class: "plan" }, shape("svg", { viewBox: "0 0 140 140", role: "img", "aria-label": `${item.name}: ${item.facts}` }, shape("rect", { class: "frame", x: 0.5, y: 0.5, width: 139, height: 139 }),
      [...item.lines].sort((a, b) => DEPTH.indexOf(a.role) - DEPTH.indexOf(b.role)).map((l) => shape("g", { class: inkOf(l.role, roles.indexOf(l.role)) }, shape("path", { class: "trace", d: trace(l.points) }), l.role === "steady" ? null : shape("path", { class: "dots", d: trace(l.points).replace(/L/g, "h0M") + "h0" }))),
      item.lines[0] && item.lines[0].points.length > 1 ? shape("circle", { class: "start", cx: px(item.lines[0].points[0]), cy: py(item.lines[0].points[1]), r: 4 }) : null),
    el("figcaption", {}, item.name, el("span", { class: "quiet" }, ` ${item.facts}, ${short(Number(wide.toPrecision(3)))} wide`)));
  };
  return el("div", { class: "chart wide" }, legend(roles), el("div", { class: "paths" }, items.map(one)), el("p", { class: "quiet small" }, data.facts ? `${data.facts}. ` : "", "Seen from above, each at its own scale; the circle is the start."));
}

function rangesChart(data) {
  const rows = (data.rows || []).map((r) => ({ ...r, bars: (r.bars || []).filter((b) => finite(b.low) && finite(b.high)) })), every = rows.flatMap((r) => r.bars.flatMap((b) => [b.low, b.high]));
  const low = finite(data.low) ? data.low : Math.min(...every), high = finite(data.high) ? data.high : Math.max(...every), px = (v) => 2 + ((v - low) / (high - low || 1)) * 296;
  const roles = [...new Set(rows.flatMap((r) => r.bars.map((b) => b.role)))], text = (b) => (b.low === low && finite(data.low) ? short(b.high) : `${short(b.low)} to ${short(b.high)}`);
  return el("div", { class: "chart wide" }, legend(roles), el("div", { class: "ranges" }, rows.map((r) => el("div", { class: "range" }, el("span", { class: "label", title: r.note || r.label }, r.label),
    shape("svg", { viewBox: `0 0 300 ${8 * r.bars.length + 2}`, preserveAspectRatio: "none", "aria-hidden": "true" }, r.bars.map((b, i) => shape("line", { class: inkOf(b.role, roles.indexOf(b.role)), x1: px(b.low), x2: Math.max(px(b.high), px(b.low) + 1), y1: 5 + 8 * i, y2: 5 + 8 * i, "stroke-width": 5 }))),
    el("span", { class: "values" }, r.bars.map((b, i) => [i ? " · " : "", `${ROLE_NAMES[b.role] || b.role} ${text(b)}`]))))),
  el("p", { class: "quiet small" }, `Scale: ${short(low)} to ${short(high)}.`));
}

function linesChart(data) {
  const W = 360, H = 190, left = 6, bottom = H - 22, lines = (data.lines || []).map((l) => ({ ...l, points: numeric(l.points) }));
  const xs = lines.flatMap((l) => l.points.filter((_, i) => i % 2 === 0)), ys = lines.flatMap((l) => l.points.filter((_, i) => i % 2));
  if (!xs.length || xs.length !== ys.length) throw new Error("no points");
  const [lowX, highX, lowY, highY] = [Math.min(...xs), Math.max(...xs), Math.min(0, ...ys), Math.max(...ys)];
  const px = (v) => left + ((v - lowX) / (highX - lowX || 1)) * (W - 2 * left), py = (v) => bottom - ((v - lowY) / (highY - lowY || 1)) * (bottom - 16);
  const trace = (p) => { let d = ""; for (let i = 0; i + 1 < p.length; i += 2) d += `${i ? "L" : "M"}${px(p[i]).toFixed(1)} ${py(p[i + 1]).toFixed(1)}`; return d; };
  return el("div", { class: "chart" }, legend(lines.map((l) => l.role)), shape("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${lines.map((l) => l.role).join(" and ")} over ${data.axis}` },
    shape("line", { class: "axis", x1: left, x2: W - left, y1: bottom, y2: bottom }), svgText(left, 11, short(highY)), svgText(left, bottom - 3, short(lowY)),
    lines.map((l, i) => shape("g", { class: inkOf(l.role, i) }, shape("path", { class: "trace", d: trace(l.points) }))),
    svgText(left, H - 6, short(lowX)), svgText(W - left, H - 6, short(highX), "end"), svgText(W / 2, H - 6, data.axis, "middle")));
}
