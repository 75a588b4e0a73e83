// What a person would look at, under the finding that it proves.

const DRAWERS = {
  sheet: (figure) => sheet(figure.data),
  grids: (figure, rule) => new Turntable(figure.data, /disconnected|float|loose/.test(rule) ? "loose" : /never|foreign/.test(rule) ? "foreign" : "blocks").node,
  histograms: (figure) => el("div", { class: "charts" }, (figure.data.panels || []).map(histogramChart)),
  scatter: (figure) => scatterChart(figure.data),
  paths: (figure) => pathsChart(figure.data),
  ranges: (figure) => rangesChart(figure.data),
  lines: (figure) => linesChart(figure.data),
  note: () => "",
};

// A contact sheet: rows of thumbnails with what each is.
function sheet(data) {
  return el("div", { class: "sheet" }, (data.groups || []).map((g) => el("div", { class: "sheet-group" }, el("h6", {}, g.label), el("div", { class: "sheet-row" }, (g.items || []).map(tile)))));
}

function tile(item) {
  if (typeof item.png !== "string" || !base64.test(item.png) || !(item.w > 0 && item.h > 0)) return null;
  const scale = Math.max(1, Math.round(176 / Math.max(item.w, item.h))); // whole pixels: small pictures stay sharp
  const box = el("span", { class: "tile" }, el("img", { src: `data:image/png;base64,${item.png}`, width: item.w * scale, height: item.h * scale, alt: `${item.name}: ${item.facts}`, class: scale > 1 ? "sharp" : null }));
  for (const [left, top, width, height] of (item.boxes || []).map(numeric)) {
    const frame = el("span", { class: "frame-mark", "aria-hidden": "true" });
    Object.assign(frame.style, { left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * width}%`, height: `${100 * height}%` });
    box.append(frame);
  }
  return el("figure", {}, box, el("figcaption", { title: item.name }, item.name.split("/").pop(), el("span", { class: "quiet" }, ` ${item.facts}`)));
}

function figureNode(figure, rule) {
  const draw = Object.hasOwn(DRAWERS, figure.kind) ? DRAWERS[figure.kind] : DRAWERS.note;
  let body;
  try { body = draw(figure, rule || ""); } catch (error) { body = el("p", { class: "quiet" }, `This figure could not be drawn: ${error.message}`); }
  return el("section", { class: "look", "data-kind": figure.kind, "aria-label": figure.title }, el("h5", {}, figure.title), body, figure.note ? el("p", { class: "quiet small" }, figure.note) : null);
}

// The figures of a finding. Several findings may rest on the same ones: the first shows them open, the others folded.
function figuresOf(report, finding, seen) {
  const mine = (report.figures || []).filter((f) => f.rules.includes(finding.rule) && (f.stage === null || finding.stage === null || f.stage === finding.stage));
  if (!mine.length) return null;
  const fresh = mine.filter((f) => !seen.has(f)), again = mine.filter((f) => seen.has(f));
  fresh.forEach((f) => seen.add(f));
  const folded = again.length ? el("details", { class: "again" }, el("summary", {}, `Look at: ${again.map((f) => f.title).join("; ")}`)) : null;
  if (folded) folded.addEventListener("toggle", () => { if (folded.open && folded.childElementCount === 1) folded.append(...again.map((f) => figureNode(f, finding.name))); });
  return el("div", { class: "looks" }, fresh.map((f) => figureNode(f, finding.name)), folded);
}

// Figures that no finding rests on, for whoever wants to look all the same.
function otherFigures(report) {
  const codes = new Set(report.findings.map((f) => f.rule)), rest = (report.figures || []).filter((f) => !f.rules.some((r) => codes.has(r)));
  if (!rest.length) return null;
  return el("section", { class: "gallery", "aria-labelledby": "gallery-title" }, el("h2", { id: "gallery-title" }, "To look at", el("span", { class: "count" }, String(rest.length))), rest.map((f) => figureNode(f.stage && report.stages.length > 1 ? { ...f, title: `${f.stage}: ${f.title}` } : f)));
}
