// The head of the report and the plain facts: verdict, coverage, stages, what was and was not checked.

const RANK = ["critical", "suspect", "not judged", "sound"];
const sortedStages = (report) => report.stages.map((s, i) => [s, i]).sort((a, b) => RANK.indexOf(a[0].verdict) - RANK.indexOf(b[0].verdict) || a[1] - b[1]).map(([s]) => s);

// Which stages can't be trusted, in words (the sentence of the text report).
function sentence(report) {
  if (report.verdict === "not judged") return (report.why_not_judged || "too little is known") + ".";
  const named = (verdict) => report.stages.filter((s) => s.verdict === verdict).map((s) => s.name), parts = [];
  const bad = named("critical"), doubtful = named("suspect"), sound = named("sound"), silent = named("not judged");
  if (bad.length) parts.push(`${listed(bad)} cannot be trusted`);
  else if (report.verdict === "critical") parts.push("the run cannot be trusted");
  if (doubtful.length) parts.push(`${listed(doubtful)}: look before you trust it`);
  else if (report.verdict === "suspect") parts.push("look before you trust it");
  if (sound.length) parts.push(`nothing found against ${listed(sound)}`);
  if (silent.length) parts.push(`${listed(silent)} could not be judged`);
  return parts.join("; ") + ".";
}

function coverage(report) {
  const { ran, of } = report.coverage, crashed = new Set(report.checks.crashed.map((c) => c.rule)).size;
  const text = `${ran} of ${of} checks ran` + (crashed ? `, ${crashed} crashed` : "");
  return el("div", { class: "coverage" }, el("span", {}, text), shape("svg", { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
    shape("rect", { class: "rail", width: 100, height: 4 }), shape("rect", { class: "done", width: of ? (100 * ran) / of : 0, height: 4 })));
}

function hero(report) {
  const count = (level) => report.findings.filter((f) => f.severity === level).length, r = report.reading || {};
  const facts = [plural(report.stages.length, "stage"), finite(r.points) && plural(r.points, "point"), finite(r.files) && plural(r.files, "file"), finite(r.seconds) && `read in ${r.seconds.toFixed(1)} s`].filter(Boolean);
  const found = [count("critical") && `${count("critical")} critical`, count("warning") && plural(count("warning"), "warning")].filter(Boolean);
  return el("header", { class: `hero ${slug(report.verdict)}` }, icon(report.verdict, 40),
    el("div", { class: "words" }, el("h1", {}, report.verdict), el("p", { class: "sentence" }, sentence(report)),
      el("p", { class: "meta" }, el("code", { class: "path" }, report.path), ...facts.map((f) => el("span", {}, f)))),
    el("div", { class: "numbers" }, coverage(report), el("p", { class: "quiet" }, found.length ? found.join(", ") : "no findings")));
}

function stageFacts(stage) {
  const s = stage.steps, lead = stage.series.find((one) => one.name === stage.lead), rows = [];
  const fact = (name, value, more) => rows.push(el("div", {}, el("dt", {}, name), el("dd", {}, value, more && el("small", {}, more))));
  if (finite(s.last)) {
    const share = finite(s.planned) && s.planned > 0 ? Math.min(1, s.last / s.planned) : null;
    fact(s.axis, short(s.last), s.planned ? ` of ${short(s.planned)}${share === null ? "" : ` (${Math.round(100 * share)} %)`}` : "");
  }
  if (lead) fact(lead.name, `${exact(lead.first)} → ${exact(lead.last)}`, ` min ${exact(lead.min)}, median ${exact(lead.median)}`);
  if (stage.speed && finite(stage.speed.overall)) fact("speed", `${short(stage.speed.overall)} ${stage.speed.unit}`, `, recently ${short(stage.speed.recent)}`);
  if (stage.eta_s && stage.eta_s.overall) fact("to go", duration(stage.eta_s.overall), `, at recent speed ${duration(stage.eta_s.recent)}`);
  const ranked = stage.samples || [];
  if (ranked.length) fact("samples nearest to the data", `${ranked[0].axis} ${short(ranked[0].step)}`, ranked.slice(0, 4).map((r) => ` ${short(r.step)}: ${r.distance.toFixed(2)} (${finite(r.low) && finite(r.high) ? `${r.low.toFixed(2)} to ${r.high.toFixed(2)}, ` : ""}n ${r.samples})`).join(","));
  if (stage.segments > 1) fact("segments", grouped(String(stage.segments)), "");
  return rows.length ? el("dl", { class: "facts", "aria-label": `Facts of ${stage.name}` }, rows) : null;
}

function windowTable(stage) {
  if (!stage.windows.length) return null;
  const w = stage.windows, most = 60;
  return el("details", { class: "windows" }, el("summary", {}, `Mean and median of ${stage.lead} per ${short(w[0].to - w[0].from)} ${stage.steps.axis}s`),
    el("div", { class: "scroll", tabindex: "0" }, el("table", {}, el("thead", {}, el("tr", {}, ["from", "to", "mean", "median"].map((h) => el("th", { scope: "col" }, h)))),
      el("tbody", {}, w.slice(0, most).map((one) => el("tr", {}, [one.from, one.to].map((v) => el("td", {}, short(v))), [one.mean, one.median].map((v) => el("td", {}, exact(v)))))))),
    w.length > most ? el("p", { class: "note" }, `${w.length - most} more in the JSON`) : null);
}

function folded(title, count, body, open) {
  return el("details", { class: "fold", open: Boolean(open) }, el("summary", {}, title, el("span", { class: "count" }, grouped(String(count)))), body);
}

// What was not checked, grouped by what would unlock it, as the text report does.
function notChecked(report) {
  const known = new Set([...report.checks.passed, ...report.findings.map((f) => f.rule)]), groups = new Map();
  for (const entry of report.checks.not_checked) {
    if (known.has(entry.rule)) continue;
    const key = entry.why + "\n" + entry.unlock;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(entry);
  }
  const distinct = (entries) => [...new Set(entries.map((e) => `${e.rule} ${e.name}`))];
  const rows = [...groups.values()].sort((a, b) => distinct(b).length - distinct(a).length);
  if (!rows.length) return null;
  const all = new Set(rows.flat().map((e) => e.rule)).size;
  return folded("Not checked", all, el("ul", { class: "reasons" }, rows.map((entries) => el("li", {}, el("p", {}, entries[0].why),
    entries[0].unlock ? el("p", { class: "unlock" }, el("b", {}, `unlocks ${plural(distinct(entries).length, "check")}: `), entries[0].unlock) : null,
    el("p", { class: "codes" }, distinct(entries).join(", "))))), true);
}

function plainChecks(report) {
  const list = (entries) => el("ul", { class: "reasons" }, entries.map((e) => el("li", {}, el("p", {}, el("code", {}, e.rule), ` ${e.name}${e.stage ? ` (${e.stage})` : ""}: ${e.why}`), e.unlock ? el("p", { class: "unlock" }, e.unlock) : null)));
  const c = report.checks, out = [notChecked(report)];
  if (c.crashed.length) out.push(folded("Crashed: a fault of runvet, please report it", c.crashed.length, list(c.crashed), true));
  if (c.ignored.length) out.push(folded("Left out, and why", c.ignored.length, list(c.ignored), true));
  if (report.problems.length) {
    out.push(folded("Could not be read", report.problems.length, el("ul", { class: "reasons" }, report.problems.slice(0, 200).map((p) => el("li", {}, el("p", {}, el("code", { class: "path" }, p.where), ": ", p.why), p.remedy ? el("p", { class: "unlock" }, p.remedy) : null)),
      report.problems.length > 200 ? el("li", {}, `${report.problems.length - 200} more in the JSON`) : null), true));
  }
  if (c.passed.length) out.push(folded("Passed", c.passed.length, el("p", { class: "codes" }, c.passed.join(", "))));
  if (c.not_applicable.length) out.push(folded("Not applicable", new Set(c.not_applicable.map((e) => e.rule)).size, list(c.not_applicable)));
  const sources = report.stages.filter((s) => s.sources && s.sources.length);
  if (sources.length) out.push(folded("Files read", sources.reduce((n, s) => n + s.sources.length, 0), el("ul", { class: "reasons" }, sources.map((s) => el("li", {}, report.stages.length > 1 ? el("b", {}, s.name, ": ") : null, el("code", { class: "path" }, s.sources.slice(0, 50).join(", ")))))));
  return el("section", { class: "checks", "aria-label": "Checks" }, out.filter(Boolean));
}

// With several runs: all of them, worst first.
function runTable(reports, current, open) {
  if (reports.length < 2) return null;
  const order = reports.map((_, i) => i).sort((a, b) => RANK.indexOf(reports[a].verdict) - RANK.indexOf(reports[b].verdict) || a - b);
  return el("nav", { class: "runs", "aria-label": "Runs" }, order.map((i) => {
    const r = reports[i], n = r.findings.length;
    return el("button", { type: "button", class: "run", "aria-current": i === current ? "page" : null, onclick: () => open(i) }, badge(r.verdict), el("code", { class: "path" }, r.path), el("span", { class: "quiet" }, n ? plural(n, "finding") : "no findings", ` · ${r.coverage.ran} of ${r.coverage.of} checks`));
  }));
}
