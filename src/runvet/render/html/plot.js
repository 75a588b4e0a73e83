// One plot: curves that share an axis, with zoom, hover, keys and touch.

const nice = (min, max) => {
  const out = [];
  for (let e = Math.floor(Math.log10(min)); e <= Math.ceil(Math.log10(max)); e++) {
    for (const m of max / min > 2e3 ? [1] : [1, 2, 5]) {
      const v = Number((m * 10 ** e).toPrecision(12));
      if (v >= min && v <= max) out.push(v);
    }
  }
  if (out.length > 1) return out;
  return [0, 1, 2, 3, 4].map((i) => Number((min * (max / min) ** (i / 4)).toPrecision(3)));
};

function axisOptions(log, extra) {
  return {
    stroke: css("--faint"), font: "11px " + css("--sans"), labelFont: "11px " + css("--sans"),
    grid: { stroke: css("--grid"), width: 1 }, ticks: { show: false },
    values: (_, splits) => splits.map((v) => (v === null ? "" : tick(v))),
    ...(log ? { splits: (u, _, min, max) => (min > 0 ? nice(min, max) : []), filter: (_, splits) => splits } : {}),
    ...extra,
  };
}

function yRange(log) {
  return (_, min, max) => {
    if (!finite(min) || !finite(max)) return log ? [1, 10] : [0, 1];
    if (log) return min === max ? [min / 2, max * 2] : [min / (max / min) ** 0.05, max * (max / min) ** 0.05];
    const pad = max === min ? Math.abs(max) * 0.1 || 1 : (max - min) * 0.06;
    return [min - pad, max + pad];
  };
}

// The index nearest to an x at which a line has a value: joined columns are sparse.
function nearest(u, line, index, x) {
  const xs = u.data[0], ys = u.data[line];
  if (ys[index] !== undefined && ys[index] !== null) return index;
  let low = index, high = index;
  const step = (i, by) => { do i += by; while (i >= 0 && i < ys.length && (ys[i] === undefined || ys[i] === null)); return i; };
  low = step(low, -1);
  high = step(high, 1);
  const known = [low, high].filter((i) => i >= 0 && i < ys.length);
  if (!known.length) return null;
  const best = known.length === 1 ? known[0] : x - xs[low] <= xs[high] - x ? low : high;
  const reach = (u.scales.x.max - u.scales.x.min) * 0.03;
  return known.length === 2 || Math.abs(xs[best] - x) <= reach ? best : null;
}

// Draws `group` = {axis, curves, styles, height, top} into host; `hooks` = {zoomed, hovered, under, over}.
function makePlot(host, group, view, hooks) {
  const { data, owners, lines, hidden } = table(group.curves, view.logX, view.logY);
  const series = owners.map((curve, i) => {
    const style = group.styles.get(curve.name);
    return {
      label: "", scale: "y", stroke: css(`--ink-${style.ink}`), width: lines[i] === "trend" ? 2 : lines[i] === "faint" ? 1 : 1.4,
      alpha: lines[i] === "faint" ? 0.32 : 1, dash: style.dash.length && lines[i] !== "faint" ? style.dash : undefined,
      points: { size: 5, fill: css("--panel"), show: lines[i] === "line" ? undefined : false }, spanGaps: false,
    };
  });
  const options = {
    width: Math.max(220, host.clientWidth), height: group.height, padding: [group.top, 12, 0, 0], legend: { show: false },
    pxAlign: 1, ms: 1,
    cursor: {
      drag: { x: true, y: false, setScale: true }, focus: { prox: 24 }, points: { size: 6 },
      dataIdx: (u, line, index, x) => (line === 0 ? index : nearest(u, line, index, x)),
      sync: { key: "runvet-" + group.axis, setSeries: false, filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
      bind: { dblclick: (u) => () => { hooks.zoomed(u, null); return null; } },
    },
    scales: {
      x: { time: false, distr: view.logX ? 3 : 1, range: (u, min, max) => (min === max ? (view.logX ? [min / 2, max * 2] : [min - 1, max + 1]) : [min, max]) },
      y: { distr: view.logY ? 3 : 1, range: yRange(view.logY) },
    },
    axes: [axisOptions(view.logX, { scale: "x", size: 26, space: 64, gap: 4 }), axisOptions(view.logY, { scale: "y", size: 54, space: 30, gap: 6 })],
    series: [{}, ...series],
    hooks: {
      drawClear: [(u) => hooks.under(u)], draw: [(u) => hooks.over(u)],
      setCursor: [(u) => hooks.hovered(u, owners, lines)],
      setScale: [(u, key) => { if (key === "x") hooks.zoomed(u, [u.scales.x.min, u.scales.x.max]); }],
    },
  };
  const plot = new uPlot(options, data, host);
  plot.hiddenPoints = hidden;
  plot.over.classList.add("over");
  touch(plot);
  return plot;
}

// One finger moves the cursor, two fingers zoom; a vertical swipe still scrolls the page.
function touch(u) {
  let apart = null;
  const at = (event, i) => event.touches[i].clientX - u.over.getBoundingClientRect().left;
  u.over.addEventListener("touchmove", (event) => {
    if (event.touches.length === 1) {
      u.setCursor({ left: at(event, 0), top: u.bbox.height / devicePixelRatio / 2 }, true, true);
    } else if (event.touches.length === 2) {
      event.preventDefault();
      const [a, b] = [at(event, 0), at(event, 1)].sort((p, q) => p - q);
      if (apart && b - a > 8) {
        const unit = (apart.max - apart.min) / (b - a);
        u.setScale("x", { min: apart.min - a * unit, max: apart.max + (u.over.clientWidth - b) * unit });
      } else apart = { min: u.posToVal(a, "x"), max: u.posToVal(b, "x") };
    }
  }, { passive: false });
  u.over.addEventListener("touchend", () => { apart = null; });
}

// Arrow keys walk along the points, + and - zoom, shift with an arrow moves the part that is shown.
function walk(u, event) {
  const xs = u.data[0], { min, max } = u.scales.x;
  if (!xs.length) return false;
  const zoom = (share) => {
    const middle = finite(u.cursor.idx) ? xs[u.cursor.idx] : (min + max) / 2;
    u.setScale("x", { min: middle - (middle - min) * share, max: middle + (max - middle) * share });
  };
  const by = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
  if (event.key === "+" || event.key === "=") zoom(0.5);
  else if (event.key === "-") zoom(2);
  else if (by && event.shiftKey) u.setScale("x", { min: min + (by * (max - min)) / 4, max: max + (by * (max - min)) / 4 });
  else if (by) {
    const pixel = Math.max(1, u.over.clientWidth / 200);
    const from = finite(u.cursor.left) && u.cursor.left >= 0 ? u.cursor.left : by > 0 ? -pixel : u.over.clientWidth;
    u.setCursor({ left: Math.min(u.over.clientWidth, Math.max(0, from + by * pixel)), top: u.over.clientHeight / 2 }, true, true);
  } else return false;
  return true;
}
