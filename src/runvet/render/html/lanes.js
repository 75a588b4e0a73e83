// From curves to what is drawn: which share a plot, and in how many lanes a curve with replayed steps is drawn.

// What a role measures, without the split: curves of one kind share a plot.
function kindOf(curve) {
  const kind = curve.role ? curve.role.replace(/^(train|val|test)_/, "") : "=" + curve.name;
  return `${kind}/${curve.axis}`;
}

// The curve of a stage as saved, or a coarse one from the medians in its summary.
function curvesOf(report, stage) {
  const found = (report.curves || []).filter((c) => c.stage === stage.name);
  const sparks = stage.sparkline || [];
  if (found.length || sparks.length < 2 || !finite(stage.steps.first) || !finite(stage.steps.last)) return found;
  const span = stage.steps.last - stage.steps.first;
  const total = (stage.series.find((s) => s.name === stage.lead) || { points: sparks.length }).points;
  return [{
    stage: stage.name, name: stage.lead, role: null, axis: stage.steps.axis, coarse: sparks.length < total, total, thinned: 1, starts: [0],
    x: sparks.map((_, i) => stage.steps.first + (span * (i + (sparks.length < total ? 0.5 : 0))) / (sparks.length - (sparks.length < total ? 0 : 1))),
    y: sparks,
  }];
}

function segmentsOf(curve) {
  return curve.starts.map((start, i) => {
    const end = i + 1 < curve.starts.length ? curve.starts[i + 1] : curve.x.length;
    return { x: curve.x.slice(start, end), y: curve.y.slice(start, end) };
  }).filter((s) => s.x.length);
}

// Segments that follow each other share a lane (with a gap between); one that steps back gets a lane of its own.
function lanesOf(curve, keep) {
  const lanes = [];
  for (const segment of segmentsOf(curve)) {
    const x = [], y = [];
    segment.x.forEach((at, i) => {
      if (x.length && x[x.length - 1] === at) return; // one point an x: a plot needs ascending ones
      x.push(at);
      y.push(keep(at, segment.y[i]) ? segment.y[i] : null);
    });
    const lane = lanes.find((l) => l.x[l.x.length - 1] < x[0]);
    if (!lane) { lanes.push({ x, y }); continue; }
    lane.x.push((lane.x[lane.x.length - 1] + x[0]) / 2, ...x);
    lane.y.push(null, ...y);
  }
  return lanes;
}

// Aligned columns for uPlot and, for each drawn line, the curve that it belongs to.
function table(curves, logX, logY) {
  const keep = (x, y) => y !== null && (!logX || x > 0) && (!logY || y > 0);
  const tables = [], owners = [], lines = [];
  let hidden = 0;
  for (const curve of curves) {
    hidden += curve.x.filter((x, i) => curve.y[i] !== null && !keep(x, curve.y[i])).length;
    for (const lane of lanesOf(curve, keep)) {
      const from = logX ? lane.x.findIndex((x) => x > 0) : 0;
      if (from < 0) continue;
      tables.push([lane.x.slice(from), lane.y.slice(from)]);
      owners.push(curve);
      lines.push(curve.trend ? "faint" : "line");
    }
  }
  for (const curve of curves.filter((c) => c.trend)) { // medians stand above all noise
    for (const lane of lanesOf(curve.trend, keep)) {
      const from = logX ? lane.x.findIndex((x) => x > 0) : 0;
      if (from < 0) continue;
      tables.push([lane.x.slice(from), lane.y.slice(from)]);
      owners.push(curve);
      lines.push("trend");
    }
  }
  return { data: tables.length ? uPlot.join(tables) : [[], []], owners, lines, hidden };
}

// Places where a process ended and another began, on this curve's axis.
const seamsOf = (curve) => curve.starts.slice(1).map((start) => curve.x[start]);

function extent(curve) {
  let low = Infinity, high = -Infinity;
  for (const x of curve.x) { if (x < low) low = x; if (x > high) high = x; }
  return [low, high];
}
