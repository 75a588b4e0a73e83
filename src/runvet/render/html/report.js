// The page: one report at a time, its findings beside its curves.

const THEMES = ["auto", "light", "dark"];

class App {
  constructor(reports, root) {
    this.reports = reports;
    this.root = root;
    this.panel = new Panel(this);
    this.findings = new Findings(this);
    this.side = el("div", { class: "side" });
    this.chosen = null;
    this.card = helpCard();
    this.setTheme(memory.get("theme") || "auto");
    listen(this, this.card);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.panel.draw());
    addEventListener("beforeprint", () => this.print(true));
    addEventListener("afterprint", () => this.print(false));
  }

  open(index) {
    const report = (this.report = this.reports[index]);
    this.chosen = null;
    this.findings.open(report);
    const rest = [this.findings.node, actionList(report, (f, how) => this.choose(f, how)), trusted(report), otherFigures(report), plainChecks(report)].filter(Boolean);
    this.side.replaceChildren(...rest);
    const stage = sortedStages(report)[0];
    this.root.replaceChildren(...[this.bar(), runTable(this.reports, index, (i) => this.open(i)), el("main", {}, hero(report), el("div", { class: `split${stage ? "" : " alone"}` }, this.side, stage ? this.panel.node : "")), this.foot(), this.card].filter(Boolean));
    if (stage) this.panel.open(report, stage);
    scrollTo(0, 0);
  }

  bar() {
    this.themeButton = el("button", { type: "button", class: "tool", "data-tool": "theme", title: "Light or dark (t)", onclick: () => this.theme() });
    this.setTheme(this.themeNow);
    return el("div", { class: "bar" }, el("strong", { class: "mark" }, "runvet"), el("span", { class: "quiet" }, this.report.runvet), el("span", { class: "space" }), this.themeButton,
      el("button", { type: "button", class: "tool", "aria-label": "Keyboard help", title: "Keyboard (?)", onclick: () => this.card.showModal() }, "?"));
  }

  foot() {
    return el("footer", { class: "foot" }, "Judged from what the run left behind; nothing of it was executed. This file is whole: it needs no network.");
  }

  tabs(current) {
    return el("div", { class: "tabs", role: "tablist", "aria-label": "Stages" }, sortedStages(this.report).map((s) => el("button", {
      type: "button", role: "tab", class: "tab", "aria-selected": String(s === current), title: `${s.name}: ${s.verdict}`, onclick: () => this.panel.open(this.report, s),
    }, icon(s.verdict, 13), s.name, el("span", { class: "sr" }, ` (${s.verdict})`))));
  }

  // A finding was chosen: on its card, its place, the curve, an action or by key.
  choose(finding, { from }) {
    this.chosen = finding;
    const stage = this.report.stages.find((s) => s.name === finding.stage);
    if (stage && stage !== this.panel.stage) this.panel.open(this.report, stage);
    const drawn = stage ? this.panel.show(finding) : false;
    this.findings.mark(finding, from !== "place");
    const narrow = matchMedia("(max-width: 899px)").matches;
    if (drawn && narrow && from === "place") this.panel.body.scrollIntoView({ block: "start", behavior: calm() ? "auto" : "smooth" });
  }

  again() { if (this.chosen) this.choose(this.chosen, { from: "place" }); }

  move(by) {
    const order = this.findings.order();
    if (!order.length) return;
    const at = order.indexOf(this.chosen);
    const next = at < 0 ? (by > 0 ? 0 : order.length - 1) : Math.min(order.length - 1, Math.max(0, at + by));
    this.choose(order[next], { from: "key" });
  }

  turn(by) {
    const stages = sortedStages(this.report), at = stages.indexOf(this.panel.stage);
    if (stages.length > 1) this.panel.open(this.report, stages[(at + by + stages.length) % stages.length]);
  }

  theme() {
    this.setTheme(THEMES[(THEMES.indexOf(this.themeNow) + 1) % THEMES.length]);
    memory.set("theme", this.themeNow);
    this.panel.draw();
  }

  setTheme(name) {
    this.themeNow = THEMES.includes(name) ? name : "auto";
    document.documentElement.dataset.theme = this.themeNow;
    if (this.themeButton) this.themeButton.textContent = { auto: "◐ auto", light: "○ light", dark: "● dark" }[this.themeNow];
  }

  // Paper is light, and nothing on it can be opened.
  print(begin) {
    if (begin) {
      this.before = this.themeNow;
      document.documentElement.dataset.theme = "light";
      this.panel.draw();
      this.closed = [...document.querySelectorAll("details:not([open])")];
      this.closed.forEach((d) => { d.open = true; });
    } else {
      this.closed?.forEach((d) => { d.open = false; });
      document.documentElement.dataset.theme = this.before;
      this.panel.draw();
    }
  }
}

const reports = JSON.parse(document.getElementById("data").textContent);
const app = new App(reports, document.getElementById("app"));
const worst = RANK.map((v) => reports.findIndex((r) => r.verdict === v)).find((i) => i >= 0);
app.open(worst === undefined ? 0 : worst);
const linked = /^#finding-(\d+)$/.exec(location.hash);
if (linked && app.report.findings[linked[1] - 1]) app.choose(app.report.findings[linked[1] - 1], { from: "link" });
document.documentElement.dataset.ready = "true";
