// The findings: what, the numbers, where on the curve, innocent explanation and actions, consequences folded.

const MOST_NUMBERS = 6;

// Causes, each with the findings that it explains; the order of the report is kept.
function tree(findings) {
  const roots = findings.filter((f) => !f.caused_by || !findings.some((o) => isCause(o, f)));
  const taken = new Set(roots);
  const below = (cause) => {
    const mine = findings.filter((f) => !taken.has(f) && isCause(cause, f));
    mine.forEach((f) => taken.add(f));
    return mine.map((f) => ({ finding: f, followers: below(f) }));
  };
  const out = roots.map((f) => ({ finding: f, followers: below(f) }));
  for (const f of findings) if (!taken.has(f)) { taken.add(f); out.push({ finding: f, followers: [] }); } // a circle
  return out;
}

const isCause = (cause, f) => cause !== f && f.caused_by === cause.rule && (cause.stage === null || cause.stage === f.stage);

function evidenceTable(finding) {
  if (!finding.evidence.length) return null;
  const wordy = (m) => typeof m.value === "string" && m.value.length > 16;
  const row = (m) => wordy(m) ? el("tr", {}, el("th", { scope: "row", colspan: 2 }, m.what, el("span", { class: "words" }, m.value, m.unit && el("span", { class: "unit" }, " " + m.unit)), m.where && el("span", { class: "where" }, m.where))) : el("tr", {}, el("th", { scope: "row" }, m.what, m.where && el("span", { class: "where" }, m.where)),
    el("td", {}, exact(m.value), m.unit && el("span", { class: m.unit.length < 16 ? "unit brief" : "unit" }, " " + m.unit)));
  const rest = finding.evidence.slice(MOST_NUMBERS);
  return el("div", { class: "evidence" }, el("table", { "aria-label": "Evidence" }, el("tbody", {}, finding.evidence.slice(0, MOST_NUMBERS).map(row))),
    rest.length ? el("details", {}, el("summary", {}, `${plural(rest.length, "more number")}`), el("table", { "aria-label": "More evidence" }, el("tbody", {}, rest.map(row)))) : null);
}

// A small drawing of the whole curve with the guilty part marked.
function thumbnail(finding, report, stage) {
  const place = placeOf(finding, stage);
  const curve = place && curvesOf(report, stage).find((c) => c.name === place.series && c.axis === place.axis);
  if (!curve) return null;
  const drawn = curve.trend || curve, known = drawn.x.map((x, i) => [x, drawn.y[i]]).filter(([, y]) => y !== null);
  const [low, high] = extent(curve);
  if (known.length < 2 || high <= low) return null;
  let bottom = Infinity, top = -Infinity;
  for (const [, y] of known) { if (y < bottom) bottom = y; if (y > top) top = y; }
  const step = Math.max(1, Math.ceil(known.length / 600));
  const px = (x) => ((x - low) / (high - low)) * 600, py = (y) => 46 - ((y - bottom) / (top - bottom || 1)) * 42;
  const line = known.filter((_, i) => i % step === 0 || i === known.length - 1).sort((a, b) => a[0] - b[0]).map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(" ");
  const from = px(Math.max(low, place.start)), to = Math.max(from + 3, px(Math.min(high, place.end)));
  const where = place.since ? `${place.axis} ${short(place.start)} on` : `${place.axis} ${short(place.start)} to ${short(place.end)}`;
  return { where, drawing: shape("svg", { class: `thumb ${finding.severity}`, viewBox: "0 0 600 56", preserveAspectRatio: "none", "aria-hidden": "true" },
    shape("rect", { class: "band", x: from, y: 0, width: to - from, height: 50 }),
    shape("polyline", { points: line, "vector-effect": "non-scaling-stroke" }),
    shape("path", { class: "bracket", d: `M${from} 50v4H${to}v-4`, "vector-effect": "non-scaling-stroke" })) };
}

class Findings {
  constructor(app) {
    this.app = app;
    this.cards = new Map();
    this.node = el("section", { class: "findings", "aria-labelledby": "findings-title" });
  }

  open(report) {
    this.report = report;
    this.cards.clear();
    this.seen = new Set();
    const count = report.findings.length;
    const body = count ? this.byStage() : el("p", { class: "quiet" }, report.verdict === "sound" ? "Nothing found." : "Nothing found, and too little known to call that a good sign.");
    this.node.replaceChildren(el("h2", { id: "findings-title" }, "Findings", el("span", { class: "count" }, grouped(String(count)))), ...[body].flat());
  }

  byStage() {
    const stages = [...sortedStages(this.report), null], out = [], nodes = tree(this.report.findings);
    for (const stage of stages) {
      const mine = nodes.filter((n) => n.finding.stage === (stage ? stage.name : null));
      if (!mine.length) continue;
      if (this.report.stages.length > 1) out.push(el("h3", { class: "stage-name" }, stage ? stage.name : "The whole run"));
      out.push(...mine.map((n) => this.card(n)));
    }
    return out;
  }

  card({ finding, followers }, nested) {
    const f = finding, stage = this.report.stages.find((s) => s.name === f.stage) || null;
    const small = thumbnail(f, this.report, stage);
    const number = this.report.findings.indexOf(f) + 1;
    const place = small ? el("button", { type: "button", class: "place", onclick: () => this.app.choose(f, { from: "place" }), "aria-label": `Show ${f.rule} on the curve, ${small.where}` },
      small.drawing, el("span", { class: "caption" }, placeOf(f, stage).series, " · ", small.where, el("span", { class: "go", "aria-hidden": "true" }, "show on the curve"))) : null;
    const beside = [
      f.actions.length ? el("div", {}, el("h5", {}, "Do"), el("ul", { class: "do" }, f.actions.map((a, i) => el("li", {}, a, f.action_costs && f.action_costs[i] ? el("span", { class: "cost" }, f.action_costs[i]) : null)))) : null,
      f.innocent ? el("div", {}, el("h5", {}, "Innocent if"), el("p", {}, f.innocent)) : null,
    ].filter(Boolean);
    const evidence = evidenceTable(f), looks = figuresOf(this.report, f, this.seen);
    const card = el("article", { class: `card ${f.severity}`, id: `finding-${number}`, tabindex: "-1", "data-rule": f.rule, "aria-label": `${f.severity}: ${f.rule} ${f.name}` },
      el("header", { onclick: () => this.app.choose(f, { from: "card" }) }, badge(f.severity), el(nested ? "h5" : "h4", {}, el("code", {}, f.rule), " ", f.name),
        finite(f.since_step) ? el("span", { class: "since" }, `since step ${short(f.since_step)}`) : null),
      el("p", { class: "message" }, f.message), place,
      evidence || beside.length ? el("div", { class: "detail" }, evidence, el("div", { class: "beside" }, beside)) : null, looks,
      followers.length ? el("details", { class: "followers" }, el("summary", {}, `Explains ${plural(followers.length, "more finding")}: ${followers.map((n) => `${n.finding.rule} ${n.finding.name}`).join(", ")}`), followers.map((n) => this.card(n, true))) : null,
      el("footer", {}, "more: ", el("code", {}, `runvet explain ${f.rule}`)));
    this.cards.set(f, card);
    return card;
  }

  // Mark one card, open what it is folded in and bring it into view.
  mark(finding, scroll) {
    for (const [f, card] of this.cards) {
      card.classList.toggle("on", f === finding);
      if (f === finding) card.setAttribute("aria-current", "true"); else card.removeAttribute("aria-current");
    }
    const card = this.cards.get(finding);
    for (let box = card && card.parentElement; box; box = box.parentElement) if (box.tagName === "DETAILS") box.open = true;
    if (card && scroll) { card.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" }); card.focus({ preventScroll: true }); }
  }

  // The findings in the order in which the cards stand.
  order() { return [...this.cards].sort(([, a], [, b]) => (a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1)).map(([f]) => f); }
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function actionList(report, choose) {
  if (!report.actions.length) return null;
  return el("section", { class: "actions", "aria-labelledby": "actions-title" }, el("h2", { id: "actions-title" }, "Do this, in this order"),
    el("ol", {}, report.actions.map((a) => el("li", {}, el("span", { class: "what" }, a.do), a.cost ? el("span", { class: "cost" }, a.cost) : null,
      el("span", { class: "why" }, a.why.map((code) => {
        const f = report.findings.find((one) => one.rule === code && (!a.stage || one.stage === a.stage)) || report.findings.find((one) => one.rule === code);
        return f ? el("button", { type: "button", class: "ref", onclick: () => choose(f, { from: "action" }), "aria-label": `Show finding ${code}` }, code) : el("code", {}, code);
      }))))));
}

function trusted(report) {
  const t = report.trusted_checkpoint;
  if (!t) return null;
  return el("section", { class: "trusted" }, el("h2", {}, "Trusted checkpoint"), el("p", {}, el("code", { class: "path" }, t.path), finite(t.step) ? ` · step ${short(t.step)}` : ""), el("p", { class: "quiet" }, t.why));
}
