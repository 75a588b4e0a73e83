// What differs between two runs apart from their curves: settings, repeats, findings, speed.

const OUTCOMES = { better: ["sound", "better"], worse: ["critical", "worse"], "no difference": ["not-judged", "no difference"], "too few points": ["not-judged", "too few points"] };

// A word with a shape: colour never stands alone.
function outcomeBadge(outcome, more) {
  const [style, word] = OUTCOMES[outcome] || ["not-judged", outcome];
  const sign = { better: "▲", worse: "▼", "no difference": "=" }[outcome] || "?";
  return el("span", { class: `badge outcome ${style === "not-judged" ? "even" : style}` }, el("i", { "aria-hidden": "true" }, sign), word, more || "");
}

const signed = (value) => (finite(value) ? (value > 0 ? "+" : "") + String(Number(value.toPrecision(3))) : "?");
const valueText = (value) => (value === null ? "null" : typeof value === "string" ? value : JSON.stringify(value));

function settingsTable(differences) {
  const cell = (d, side) => (d.missing === side ? el("td", { class: "absent" }, "not set") : el("td", {}, el("code", {}, valueText(d[side]))));
  return el("div", { class: "scroll" }, el("table", { class: "settings" }, el("thead", {}, el("tr", {}, ["setting", "base", "other"].map((h) => el("th", { scope: "col" }, h)))),
    el("tbody", {}, differences.map((d) => el("tr", {}, el("th", { scope: "row" }, d.key), cell(d, "base"), cell(d, "other"))))));
}

function settingsPart(comparison) {
  const plainOnes = comparison.settings.filter((d) => !d.noise), noise = comparison.settings.filter((d) => d.noise), most = 40;
  const known = comparison.settings.length + comparison.same_settings;
  const said = !known ? "No settings are known of either run." : plainOnes.length ? null : `No setting differs; ${comparison.same_settings} are the same.`;
  return el("section", { class: "part", "aria-labelledby": "settings" },
    el("h2", { id: "settings" }, "Settings", el("span", { class: "count" }, `${plainOnes.length} differ, ${comparison.same_settings} same`)),
    said ? el("p", { class: "quiet" }, said) : settingsTable(plainOnes.slice(0, most)),
    plainOnes.length > most ? folded("More settings", plainOnes.length - most, settingsTable(plainOnes.slice(most))) : null,
    noise.length ? folded("Paths, dates and names", noise.length, settingsTable(noise)) : null);
}

function folded(title, count, body) {
  return el("details", { class: "fold" }, el("summary", {}, title, el("span", { class: "count" }, grouped(String(count)))), body);
}

// Levels of repeated runs as dots on one line: base above, other below.
function dots(effect) {
  const all = [...effect.base, ...effect.other], low = Math.min(...all), span = Math.max(...all) - low || 1;
  const row = (levels, y, ink) => levels.map((v) => shape("circle", { class: `dot-${ink}`, cx: 6 + (148 * (v - low)) / span, cy: y, r: 3.5 }));
  return shape("svg", { class: "dots", viewBox: "0 0 160 26", width: 160, height: 26, "aria-hidden": "true" }, row(effect.base, 8, 1), row(effect.other, 19, 2));
}

// All metrics of repeated runs, one table for each configuration.
function repeatsPart(effects) {
  if (!effects.length) return null;
  const groups = new Map();
  for (const e of effects) {
    const key = e.other_runs.join("\n");
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(e);
  }
  return el("section", { class: "part", "aria-labelledby": "repeats" }, el("h2", { id: "repeats" }, "Repeated runs", el("span", { class: "count" }, "beyond what the seed changes")),
    [...groups.values()].map((rows) => el("div", { class: "group" },
      el("p", { class: "quiet" }, `${plural(rows[0].base.length, "run")} of the base's settings against `, el("code", { class: "path" }, rows[0].other_runs[0]), rows[0].other_runs.length > 1 ? ` and ${plural(rows[0].other_runs.length - 1, "repeat")} of it` : ""),
      el("div", { class: "scroll" }, el("table", { class: "settings" }, el("thead", {}, el("tr", {}, ["metric", "", "levels", "base → other", "difference", "p"].map((h) => el("th", { scope: "col" }, h)))),
        el("tbody", {}, rows.map((e) => el("tr", {}, el("th", { scope: "row" }, e.name), el("td", {}, outcomeBadge(e.outcome, e.outcome === "no difference" ? " shown" : "")), el("td", {}, dots(e)),
          el("td", {}, `${exact(rounded(mean(e.base)))} → ${exact(rounded(mean(e.other)))}`), el("td", {}, `${signed(e.difference)} ± ${Number(e.error.toPrecision(2))}`), el("td", {}, String(Number(e.p.toPrecision(2))))))))))));
}

const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;

function findingsPart(comparison) {
  const list = (title, found) => found.length ? el("div", {}, el("h5", {}, title), el("ul", { class: "reasons" }, found.slice(0, 40).map((f) => el("li", {}, badge(f.severity), " ", el("code", {}, f.rule), ` ${f.name}: ${f.message}`)),
    found.length > 40 ? el("li", {}, `${found.length - 40} more in the JSON`) : null)) : null;
  const both = [list("Of the base alone", comparison.only_base), list("Of the other alone", comparison.only_other)].filter(Boolean);
  const lonely = comparison.unpaired.length ? el("p", { class: "quiet" }, `Stages that only one run has: ${listed(comparison.unpaired)}`) : null;
  return el("section", { class: "part", "aria-labelledby": "findings" }, el("h2", { id: "findings" }, "Findings"), both.length ? both : el("p", { class: "quiet" }, "Both runs have the same findings, or none."), lonely);
}

function speedPart(comparison) {
  if (!comparison.speed.length) return null;
  const most = Math.max(...comparison.speed.flatMap((s) => [s.base, s.other]));
  const bar = (value, ink) => shape("svg", { class: "speedbar", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" }, shape("rect", { class: `fill-${ink}`, width: (100 * value) / most, height: 8 }));
  return el("section", { class: "part", "aria-labelledby": "speed" }, el("h2", { id: "speed" }, "Speed"), comparison.speed.map((s) => el("div", { class: "speeds" },
    el("p", {}, comparison.speed.length > 1 ? `${s.stage}: ` : "", el("b", {}, `${short(s.base)} → ${short(s.other)} ${s.unit}`), ` (${s.ratio >= 1 ? "+" : ""}${(100 * (s.ratio - 1)).toFixed(1)} %)`), bar(s.base, 1), bar(s.other, 2))));
}
