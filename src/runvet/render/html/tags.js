// The places of findings on a plot: bands under the curve, tags above it that can be clicked.

const ROW = 22;

// The place of a finding on a curve: its guilty window, or the step since which it shows on the lead curve.
function placeOf(finding, stage) {
  const w = finding.window;
  if (w && finite(w.start) && finite(w.end)) return { series: w.series, axis: w.axis, start: Math.min(w.start, w.end), end: Math.max(w.start, w.end) };
  if (!finite(finding.since_step) || !stage || !stage.lead || stage.steps.axis !== "step") return null;
  return { series: stage.lead, axis: "step", start: finding.since_step, end: finding.since_step, since: true };
}

// Which row each tag stands in, so that none covers another at full zoom.
function stack(places, [low, high], width) {
  const ends = [];
  for (const place of [...places].sort((a, b) => a.start - b.start)) {
    const left = ((place.start - low) / (high - low || 1)) * width;
    let row = ends.findIndex((end) => end <= left);
    if (row < 0) row = ends.length;
    ends[row] = left + 92;
    place.row = row;
  }
  return ends.length;
}

const edge = (u, x) => Math.min(u.bbox.left + u.bbox.width, Math.max(u.bbox.left, u.valToPos(x, "x", true)));

function hatch(ctx, left, top, width, height, gap) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.beginPath();
  for (let x = left - height; x < left + width; x += gap) { ctx.moveTo(x, top + height); ctx.lineTo(x + height, top); }
  ctx.stroke();
  ctx.restore();
}

function drawBands(u, places, active) {
  const { ctx, bbox } = u, unit = devicePixelRatio;
  for (const place of places) {
    if (place.end < u.scales.x.min || place.start > u.scales.x.max) continue;
    const left = edge(u, place.start), width = Math.max(edge(u, place.end) - left, 0), on = place.finding === active;
    ctx.save();
    ctx.fillStyle = ctx.strokeStyle = css(place.finding.severity === "critical" ? "--critical" : "--warning");
    ctx.globalAlpha = on ? 0.1 : 0.05;
    ctx.fillRect(left, bbox.top, width, bbox.height);
    ctx.lineWidth = unit;
    if (on) { ctx.globalAlpha = 0.13; hatch(ctx, left, bbox.top, width, bbox.height, 9 * unit); }
    ctx.globalAlpha = on ? 1 : 0.7;
    ctx.fillRect(left, bbox.top - 2 * unit, Math.max(width, 2 * unit), (on ? 3 : 2) * unit);
    ctx.setLineDash(place.since ? [2 * unit, 3 * unit] : []);
    ctx.globalAlpha = on ? 0.9 : 0.4;
    ctx.beginPath();
    for (const x of place.since ? [place.start] : [place.start, place.end]) {
      if (x < u.scales.x.min || x > u.scales.x.max) continue;
      ctx.moveTo(edge(u, x), bbox.top);
      ctx.lineTo(edge(u, x), bbox.top + bbox.height);
    }
    ctx.stroke();
    ctx.restore();
  }
}

function drawSeams(u, seams) {
  const { ctx, bbox } = u, unit = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = css("--faint");
  ctx.setLineDash([4 * unit, 4 * unit]);
  ctx.lineWidth = unit;
  ctx.font = `${10 * unit}px ${css("--sans")}`;
  ctx.textBaseline = "bottom";
  ctx.textAlign = "left";
  let free = -Infinity;
  for (const x of seams) {
    if (x < u.scales.x.min || x > u.scales.x.max) continue;
    const left = edge(u, x);
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
    const text = `restart ${tick(x)}`, width = ctx.measureText(text).width;
    if (left < free || left + width + 6 * unit > bbox.left + bbox.width) continue;
    ctx.fillText(text, left + 4 * unit, bbox.top + bbox.height - 3 * unit);
    free = left + width + 12 * unit;
  }
  ctx.restore();
}

// Means of the report's windows, as steps over the lead curve.
function drawMeans(u, windows) {
  const { ctx } = u, unit = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  ctx.clip();
  for (const [colour, width] of [[css("--panel"), 5], [css("--text"), 2]]) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = width * unit;
    ctx.beginPath();
    for (const w of windows) {
      if (!finite(w.mean) || w.to < u.scales.x.min || w.from > u.scales.x.max || (u.scales.y.distr === 3 && !(w.mean > 0))) continue;
      const y = u.valToPos(w.mean, "y", true);
      ctx.moveTo(edge(u, w.from) + 2 * unit, y);
      ctx.lineTo(edge(u, w.to) - 2 * unit, y);
    }
    ctx.stroke();
  }
  ctx.restore();
}

// Buttons above the plot: each stands at the start of its window, or at the edge where its window lies outside.
function drawTags(u, layer, places, active, open) {
  const left0 = u.over.offsetLeft, width = u.over.clientWidth;
  layer.replaceChildren(...places.map((place) => {
    const f = place.finding, before = place.end < u.scales.x.min, after = place.start > u.scales.x.max;
    const where = place.since ? `since ${place.axis} ${short(place.start)}` : `${place.axis} ${short(place.start)} to ${short(place.end)}`;
    const tag = el("button", {
      type: "button", class: `tag ${f.severity}${f === active ? " on" : ""}`, "aria-pressed": f === active, title: `${f.severity}: ${f.rule} ${f.name}, ${where}`,
      "aria-label": `${f.severity}: ${f.rule} ${f.name}, ${where}. Show the finding`, onclick: () => open(f),
    }, before ? "◂ " : "", icon(f.severity, 11), f.rule, after ? " ▸" : "");
    const at = Math.max(0, Math.min(width - 86, u.valToPos(Math.max(place.start, u.scales.x.min), "x")));
    tag.style.left = `${left0 + (before ? 0 : after ? width - 86 : at)}px`;
    tag.style.top = `${2 + place.row * ROW}px`;
    return tag;
  }));
}
