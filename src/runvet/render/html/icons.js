// A shape and a word for every state: colour never stands alone.

const SHAPES = {
  critical: ["M5 1h6l4 4v6l-4 4H5l-4-4V5z", "M8 4.2v4.6M8 11.2v.6"],
  warning: ["M8 1.4 15.2 14.4H.8z", "M8 6v4M8 12v.4"],
  suspect: ["M8 1.4 15.2 14.4H.8z", "M8 6v4M8 12v.4"],
  sound: ["M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1z", "m4.8 8.3 2.2 2.2 4.2-4.6"],
  "not judged": ["M2 1h12v14H2z", "M6 6.2c0-2.6 4-2.6 4 0 0 1.5-2 1.5-2 3M8 11.6v.4"],
};

function icon(state, size) {
  const [outline, sign] = SHAPES[state] || SHAPES["not judged"];
  return shape("svg", { class: `icon ${slug(state)}`, viewBox: "0 0 16 16", width: size || 16, height: size || 16, "aria-hidden": "true" },
    shape("path", { class: "outline", d: outline }), shape("path", { class: "sign", d: sign }));
}

const slug = (state) => state.replace(/\W+/g, "-");
const badge = (state) => el("span", { class: `badge ${slug(state)}` }, icon(state), state);

// A line swatch that shows colour and dash of a curve.
function swatch(style) {
  return shape("svg", { class: "swatch", viewBox: "0 0 20 8", width: 20, height: 8, "aria-hidden": "true" },
    shape("line", { class: `ink-${style.ink}`, x1: 1, x2: 19, y1: 4, y2: 4, "stroke-width": 2, "stroke-dasharray": style.dash.join(" ") }));
}

const INKS = 7;
const DASHES = [[], [7, 3], [2, 2], [9, 2, 2, 2]];
const styleOf = (place) => ({ ink: (place % INKS) + 1, dash: DASHES[Math.floor(place / INKS) % DASHES.length] });
