// The keyboard, and the card that explains it.

const KEYS = [
  ["j  k", "next, previous finding"], ["Enter", "zoom to the finding"], ["[  ]", "previous, next stage"], ["l  x", "logarithmic values, steps"],
  ["m", "means of windows"], ["r", "show everything"], ["/", "find a metric"], ["←  →", "read values on a focused curve"], ["+  −", "zoom a focused curve"],
  ["⇧←  ⇧→", "move along a zoomed curve"], ["t", "light, dark, as the system"], ["?", "this card"],
];

function helpCard() {
  const close = () => card.close();
  const card = el("dialog", { class: "help", "aria-labelledby": "help-title", onclick: (event) => { if (event.target === card) close(); } },
    el("div", {}, el("h2", { id: "help-title" }, "Keyboard"), el("dl", {}, KEYS.map(([keys, text]) => el("div", {}, el("dt", {}, keys.split("  ").map((k) => el("kbd", {}, k))), el("dd", {}, text)))),
      el("button", { type: "button", class: "tool", onclick: close }, "Close")));
  return card;
}

function listen(app, card) {
  const keys = {
    j: () => app.move(1), k: () => app.move(-1), Enter: () => app.again(), l: () => app.panel.toggle("logY"), x: () => app.panel.toggle("logX"), m: () => app.panel.toggle("means"),
    r: () => app.panel.zoom(null), "[": () => app.turn(-1), "]": () => app.turn(1), t: () => app.theme(), "?": () => (card.open ? card.close() : card.showModal()),
    "/": () => app.panel.node.querySelector(".search")?.focus(),
  };
  document.addEventListener("keydown", (event) => {
    const inside = event.target.closest ? event.target.closest("input, textarea, select, button, summary, dialog") : null;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (inside && inside.tagName === "INPUT") { if (event.key === "Escape") inside.blur(); return; }
    if (inside && ["Enter", " "].includes(event.key)) return;
    if (card.open && event.key !== "?") return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
}
