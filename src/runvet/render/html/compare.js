// The page of a comparison: settings first, then curves over each other, findings, and speed last.

const THEMES = ["auto", "light", "dark"];
const OPEN_AT_FIRST = 6; // metrics whose curves are drawn before anybody asks for more

class ComparePage {
  constructor(data, root) {
    this.data = data;
    this.root = root;
    this.view = { logX: false, logY: false };
    this.range = null;
    this.plots = [];
    this.observer = new ResizeObserver(() => this.plots.forEach((p) => p.resize()));
    this.setTheme(memory.get("theme") || "auto");
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    addEventListener("beforeprint", () => this.print(true));
    addEventListener("afterprint", () => this.print(false));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  open(index) {
    const one = (this.one = this.data.comparisons[index]);
    this.plots.forEach((p) => p.drop());
    this.plots = [];
    this.range = null;
    this.observer.disconnect();
    const curves = this.curvesPart(one);
    this.root.replaceChildren(...[this.bar(), this.table(index), el("main", { class: "compare" }, this.hero(one), repeatsPart(this.data.repeats), settingsPart(one), curves, findingsPart(one), speedPart(one)), this.foot()].filter(Boolean));
    this.redraw();
    this.observer.observe(curves);
    scrollTo(0, 0);
  }

  bar() {
    this.themeButton = el("button", { type: "button", class: "tool", "data-tool": "theme", title: "Light or dark (t)", onclick: () => this.theme() });
    this.setTheme(this.themeNow);
    return el("div", { class: "bar" }, el("strong", { class: "mark" }, "runvet"), el("span", { class: "quiet" }, `${this.data.runvet} compare`), el("span", { class: "space" }), this.themeButton);
  }

  foot() {
    return el("footer", { class: "foot" }, "Told from what the runs left behind; nothing of them was executed. This file is whole: it needs no network.");
  }

  // With several runs: all of them against the base.
  table(current) {
    if (this.data.comparisons.length < 2) return null;
    return el("nav", { class: "runs", "aria-label": "Runs" }, this.data.comparisons.map((c, i) => el("button", { type: "button", class: "run", "aria-current": i === current ? "page" : null, onclick: () => this.open(i) },
      badge(c.other_verdict), el("code", { class: "path" }, c.other), el("span", { class: "quiet" }, counted(c)))));
  }

  hero(one) {
    const side = (name, path, verdict) => el("div", { class: "side-of" }, swatch(SIDE_STYLES.get(name)), el("b", {}, name), el("code", { class: "path" }, path), badge(verdict));
    const told = one.curves.filter((c) => c.outcome !== "too few points");
    return el("header", { class: "hero pair" }, el("div", { class: "words" }, el("h1", {}, told.length ? `${plural(told.length, "metric")}: ${counted(one)}` : "No metric can be compared"), side("base", one.base, one.base_verdict), side("other", one.other, one.other_verdict), el("p", { class: "caution" }, this.data.caution)));
  }

  curvesPart(one) {
    const told = one.curves.filter((c) => c.outcome !== "too few points"), few = one.curves.length - told.length;
    const tool = (key, text, title) => el("button", { type: "button", class: "tool", "data-tool": key, "aria-pressed": String(this.view[key]), title, onclick: () => this.toggle(key) }, text);
    this.reset = el("button", { type: "button", class: "tool", "data-tool": "reset", title: "Show everything (r)", disabled: true, onclick: () => this.follow(null, null, null) }, "Reset zoom");
    return el("section", { class: "part curves", "aria-labelledby": "curves" }, el("h2", { id: "curves" }, "Curves", el("span", { class: "count" }, "at equal steps, late in what both have")),
      told.length ? el("div", { class: "toolbar", role: "toolbar", "aria-label": "Axes and zoom" }, tool("logY", "log y", "Logarithmic values (l)"), tool("logX", "log x", "Logarithmic steps (x)"), el("span", { class: "hint" }, "drag to zoom"), this.reset) : el("p", { class: "quiet" }, "No metric of both runs can be compared."),
      el("div", { class: "metrics-grid" }, told.map((c, i) => this.metric(one, c, i))),
      few ? el("p", { class: "note" }, `${plural(few, "metric")} with too few points in common to compare`) : null,
      told.length ? el("p", { class: "note" }, "Faint: points. Strong: medians. Band: 80 % of the points of each part. Shaded: where both are compared. ± is one standard error from the noise within the runs.") : null);
  }

  // One metric: what was found of it, and its curves where they were kept.
  metric(one, told, place) {
    const overlay = (one.overlays || []).find((o) => o.name === told.name && o.stage === told.stage);
    const several = new Set(one.curves.map((c) => c.stage)).size > 1;
    const relative = finite(told.relative) && Math.abs(told.relative) < 100 ? `, ${told.relative >= 0 ? "+" : ""}${(100 * told.relative).toFixed(1)} %` : "";
    const head = el("summary", {}, el("span", { class: "metric-name" }, several ? `${told.stage}: ` : "", told.name), outcomeBadge(told.outcome, told.outcome === "no difference" ? " beyond noise" : " in this run"),
      el("span", { class: "levels" }, `${exact(rounded(told.base))} → ${exact(rounded(told.other))} (${signed(told.difference)} ± ${Number((told.error || 0).toPrecision(2))}${relative})`));
    const card = el("details", { class: "metric", open: place < OPEN_AT_FIRST }, head, el("p", { class: "quiet" }, reached(told)));
    if (!overlay) { card.append(el("p", { class: "note" }, "not drawn, to keep this file small")); return card; }
    const plot = new OverlayPlot(this, overlay, told);
    card.append(plot.node);
    card.addEventListener("toggle", () => { if (card.open && !plot.plot) { plot.draw(); plot.show(this.axis === overlay.axis ? this.range : null); } });
    plot.card = card;
    this.plots.push(plot);
    return card;
  }

  // All plots on an axis show the same part of it.
  follow(from, axis, range) {
    if (this.following) return;
    this.following = true;
    this.range = range;
    this.axis = axis;
    for (const plot of this.plots) if (plot !== from && (!range || plot.overlay.axis === axis)) plot.show(range);
    if (!range && from) from.show(null);
    this.reset.disabled = !range;
    queueMicrotask(() => { this.following = false; });
  }

  redraw() {
    this.following = true;
    for (const plot of this.plots) if (plot.card.open) plot.draw(); else plot.drop();
    queueMicrotask(() => { this.following = false; if (this.range) this.plots.forEach((p) => p.overlay.axis === this.axis && p.show(this.range)); });
  }

  toggle(key) {
    this.view[key] = !this.view[key];
    this.root.querySelector(`[data-tool="${key}"]`)?.setAttribute("aria-pressed", String(this.view[key]));
    this.redraw();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { l: () => this.toggle("logY"), x: () => this.toggle("logX"), r: () => this.follow(null, null, null), t: () => this.theme() }[event.key];
    if (act) { event.preventDefault(); act(); }
  }

  theme() {
    this.setTheme(THEMES[(THEMES.indexOf(this.themeNow) + 1) % THEMES.length]);
    memory.set("theme", this.themeNow);
    this.redraw();
  }

  setTheme(name) {
    this.themeNow = THEMES.includes(name) ? name : "auto";
    document.documentElement.dataset.theme = this.themeNow;
    if (this.themeButton) this.themeButton.textContent = { auto: "◐ auto", light: "○ light", dark: "● dark" }[this.themeNow];
  }

  // Paper is light, and nothing on it can be opened.
  print(begin) {
    if (begin) {
      this.closed = [...document.querySelectorAll("details:not([open])")];
      this.closed.forEach((d) => { d.open = true; });
    } else this.closed?.forEach((d) => { d.open = false; });
    document.documentElement.dataset.theme = begin ? "light" : this.themeNow;
    this.redraw();
  }
}

// `2 better, 1 worse, 3 no different` of the metrics that could be compared.
function counted(comparison) {
  const count = (outcome) => comparison.curves.filter((c) => c.outcome === outcome).length;
  const told = [["better", "better"], ["worse", "worse"], ["no difference", "no different"]].filter(([o]) => count(o)).map(([o, word]) => `${count(o)} ${word}`);
  return told.length ? `${told.join(", ")} in this run` : "no metric can be compared";
}

// Who comes to the best of the other, and when: said only where the curves differ.
function reached(told) {
  if (told.outcome !== "better" && told.outcome !== "worse") return "";
  const one = (who, whose, level, at) => `${who} comes to ${whose} best level, ${exact(rounded(level))}, ${finite(at) ? `at ${told.axis} ${short(Math.round(at))}` : "never"}`;
  return `${one("The other", "the base's", told.base_best, told.reaches_base_best)}; ${one("the base", "the other's", told.other_best, told.reaches_other_best)}.`;
}

const page = new ComparePage(JSON.parse(document.getElementById("data").textContent), document.getElementById("app"));
if (page.data.comparisons.length) page.open(0);
document.documentElement.dataset.ready = "true";
