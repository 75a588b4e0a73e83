// The page of a data set: what it holds, what is wrong with it, what it looks like, and how it differs from another.

const THEMES = ["auto", "light", "dark"];

function setTheme(name, button) {
  const now = THEMES.includes(name) ? name : "auto";
  document.documentElement.dataset.theme = now;
  button.textContent = { auto: "◐ auto", light: "○ light", dark: "● dark" }[now];
  memory.set("theme", now);
  return now;
}

function bar(data) {
  const button = el("button", { type: "button", class: "tool", "data-tool": "theme", title: "Light or dark" });
  let now = setTheme(memory.get("theme") || "auto", button);
  button.addEventListener("click", () => { now = setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length], button); });
  return el("div", { class: "bar" }, el("strong", { class: "mark" }, "runvet"), el("span", { class: "quiet" }, `${data.runvet} data`), el("span", { class: "space" }), button);
}

const fact = (name, ...value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
const cells = (row) => row.map((c, i) => el(i ? "td" : "th", i ? {} : { scope: "row" }, c));

function table(head, rows, label) {
  return el("div", { class: "scroll" }, el("table", { class: "numbers-table", "aria-label": label }, el("thead", {}, el("tr", {}, head.map((h) => el("th", { scope: "col" }, h)))), el("tbody", {}, rows.map((r) => el("tr", {}, cells(r))))));
}

function faults(set) {
  const unreadable = Object.entries(set.unreadable || {});
  const rows = [
    ["unreadable", unreadable.length, unreadable[0] && `${unreadable[0][0]}: ${unreadable[0][1]}`], ["not finite", set.non_finite.length, set.non_finite[0]], ["constant", set.constant.length, set.constant[0]],
    ["copies", set.copies, set.copy_groups[0] && set.copy_groups[0].slice(0, 2).join(" = ")], ["held out, and in train", set.overlap.length, set.overlap[0] && set.overlap[0].join(" = ")],
  ].filter(([, n]) => n > 0);
  return el("section", { class: "faults" }, el("h3", {}, "What is wrong"), rows.length
    ? [table(["", "items", "such as"], rows.map(([what, n, where]) => [el("span", { class: "badge warning" }, icon("warning"), what), grouped(String(n)), el("code", {}, where || "")]), "What is wrong"), set.remedy && unreadable.length ? el("p", { class: "quiet" }, set.remedy) : null]
    : el("p", { class: "quiet" }, "No empty, constant, repeated, non-finite or unreadable item."));
}

function classes(set) {
  const all = Object.entries(set.classes || {}), most = Math.max(1, ...all.map(([, n]) => n)), shown = all.slice(0, 12);
  if (!all.length) return null;
  return el("section", {}, el("h3", {}, "Classes", el("span", { class: "count" }, grouped(String(all.length)))), el("div", { class: "classes" }, shown.map(([name, n]) => el("div", {}, el("span", { class: "label", title: name }, name),
    shape("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" }, shape("rect", { class: "done", width: (100 * n) / most, height: 6, rx: 1 })), el("span", {}, grouped(String(n)))))),
  all.length > shown.length ? el("p", { class: "quiet small" }, `and ${all.length - shown.length} more`) : null);
}

function setSection(set, figures) {
  const shapes = set.shapes.slice(0, 4).map((s) => `${s.shape.join(" × ")} (${grouped(String(s.items))})`).join(", ") + (set.shapes.length > 4 ? ` and ${set.shapes.length - 4} more` : "");
  const splits = Object.entries(set.splits || {}).map(([k, n]) => `${k} ${grouped(String(n))}`).join(", ");
  return el("section", { class: "card set" }, el("h2", {}, set.name, el("span", { class: "count" }, `${grouped(String(set.items))} ${set.kind}`)),
    el("dl", { class: "facts" }, fact("files", set.read < set.files ? `${grouped(String(set.read))} of ${grouped(String(set.files))} read` : grouped(String(set.files))), shapes ? fact("shapes", shapes) : null, set.low !== null ? fact("values", `${exact(set.low)} to ${exact(set.high)}`) : null,
      splits ? fact("splits", splits) : null, set.background !== null ? fact("most frequent value", `${(100 * set.background).toFixed(1)} %`, el("small", {}, " of an item's cells: a model that answers it everywhere is right as often")) : null),
    faults(set), classes(set), figures.length ? el("div", { class: "looks" }, figures.map((f) => figureNode(f))) : null);
}

function against(data) {
  const told = data.against;
  if (!told) return null;
  const number = (v) => (v === null ? "?" : exact(v));
  const rows = told.differences.map((d) => [d.what + (d.class ? ` of ${d.class}` : ""), number(d.here), number(d.there), d.ratio === null ? "" : short(d.ratio), d.p < 0.001 ? d.p.toExponential(0) : d.p.toFixed(3), `${grouped(String(d.n))}, ${grouped(String(d.m))}`]);
  return el("section", { class: "card set" }, el("h2", {}, "Against ", el("code", {}, told.path)), table(["median of", "here", "there", "ratio", "p", "n, m"], rows, "Differences"),
    el("p", { class: "quiet small" }, "p: Mann-Whitney test, two-sided. Facts, no verdict."), told.in_both ? el("p", {}, el("span", { class: "badge warning" }, icon("warning"), `${grouped(String(told.in_both))} items are in both`)) : null,
    data.beside.length ? el("div", { class: "looks" }, data.beside.map((f) => figureNode(f))) : null);
}

const data = JSON.parse(document.getElementById("data").textContent);
document.getElementById("app").replaceChildren(...[bar(data), el("main", {}, el("header", { class: "page-head" }, el("h1", {}, el("code", { class: "path" }, data.path)), el("p", { class: "quiet" }, plural(data.sets.length, "set"))), against(data), data.sets.map((s, i) => setSection(s, data.figures[i] || [])),
  data.against ? setSection({ ...data.against.set, name: `${data.against.path}: ${data.against.set.name}` }, data.figures[data.sets.length] || []) : null),
  el("footer", { class: "foot" }, "Profiled without executing anything. This file is whole: it needs no network.")]);
document.documentElement.dataset.ready = "true";
