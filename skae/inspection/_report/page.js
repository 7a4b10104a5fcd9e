(function () {
"use strict";

const data = JSON.parse(document.getElementById("report-data").textContent);
// Okabe and Ito's colours, told apart by those who see fewer; the light one comes last.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000", "#f0e442"];
const PALE = COLOURS[COLOURS.length - 1];
const SYMBOLS = ["circle", "diamond", "square"];
const OTHERS = "#9aa3ad";
const MOST_GROUPS = COLOURS.length * SYMBOLS.length;
const MOST_HOVERED = 18;
const MOST_COMPARED = 12;
// Named one by one: among plotly's own are some that send a drawing away.
const LOOK = [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]];
const PICK = [["toImage"], ["lasso2d", "select2d", "zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]];
const SETTINGS = { displaylogo: false, responsive: true, modeBarButtons: LOOK };
const FONT = { family: "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif", size: 13,
  color: "#1b1f24" };
const AXIS = { gridcolor: "#e5e9ed", zerolinecolor: "#c5ccd3", linecolor: "#8c959f", automargin: true };
const byId = (id) => document.getElementById(id);

// ------------------------------------------------------------------ texts

// Plotly reads a few tags in labels: nothing of the user's may look like one.
function plain(text) {
  const short = String(text).length > 60 ? String(text).slice(0, 59) + "…" : String(text);
  return short.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "missing";
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e7 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

function cell(column, i) {
  if (column.kind === "number") return number(column.values[i]);
  return column.codes[i] < 0 ? "missing" : column.levels[column.codes[i]];
}

function element(tag, text, attributes) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const name in attributes || {}) made.setAttribute(name, attributes[name]);
  return made;
}

function table(heads, lines) {
  const made = element("table"), head = element("thead"), body = element("tbody"), top = element("tr");
  heads.forEach((text, k) => top.append(element("th", text, { scope: "col", class: k ? "figure" : "" })));
  head.append(top);
  for (const line of lines) {
    const row = element("tr");
    line.forEach((text, k) => row.append(k ? element("td", text, { class: "figure" })
      : element("th", text, { scope: "row" })));
    body.append(row);
  }
  made.append(head, body);
  return made;
}

// ------------------------------------------------------------------ training

function lines(id, traces, across, up, shapes, notes) {
  const layout = {
    font: FONT, margin: { l: 60, r: 16, t: 36, b: 46 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
    xaxis: { ...AXIS, title: { text: across }, tick0: 0, dtick: Math.ceil(Math.max(8, traces[0].x.length) / 8) },
    yaxis: { ...AXIS, title: { text: up } }, showlegend: traces.length > 1, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, bgcolor: "rgba(0,0,0,0)" },
    shapes: shapes || [], annotations: notes || [], hovermode: "x unified",
  };
  Plotly.newPlot(id, traces, layout, SETTINGS);
}

const from = (first, values) => values.map((_, k) => first + k);

function curve(x, y, name, colour, dash) {
  const mode = y.length > 40 ? "lines" : "lines+markers";
  return { x, y, name, mode: dash ? "lines" : mode, type: "scatter", marker: { size: 5 },
    line: { color: colour, width: 2, dash: dash || "solid" }, hovertemplate: "%{y:.4~g}" };
}

function drawTraining() {
  const found = data.training;
  lines("loss-figure", [curve(from(1, found.loss), found.loss, "training", COLOURS[0])], "epoch", "training loss");
  if (!found.scores) {
    byId("score-figure").remove();
    return;
  }
  const epochs = from(0, found.scores);
  const traces = [curve(epochs, found.scores, "autoencoder", COLOURS[0])];
  if (found.pca !== null) {
    traces.push(curve([0, epochs.length - 1], [found.pca, found.pca], "PCA", "#57606a", "dash"));
  }
  traces.push({ x: [found.kept], y: [found.scores[found.kept]], name: "kept", mode: "markers", type: "scatter",
    marker: { size: 12, symbol: "circle-open", color: COLOURS[5], line: { width: 3 } },
    hovertemplate: "%{y:.4~g}" });
  lines("score-figure", traces, "epoch", "variance explained");
}

function drawCumulative() {
  const found = data.cumulative;
  if (!found) return;
  const traces = [curve(from(1, found.own), found.own, "autoencoder", COLOURS[0])];
  if (found.pca) traces.push(curve(from(1, found.pca), found.pca, "PCA", "#57606a", "dash"));
  lines("cumulative-figure", traces, "components", "variance explained");
}

// ------------------------------------------------------------------ codes

const n = data.rows.length;
const errors = { name: "reconstruction error", kind: "number", values: data.errors };
const colourings = (data.y ? [data.y] : []).concat([errors], data.columns);
const axes = data.components.concat([errors]);
const state = { colour: 0, across: 0, up: 1, far: false, selected: null, row: null };

function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

function sortedNumbers(values) {
  return values.filter((value) => value !== null).sort((a, b) => a - b);
}

// Codes of a few values would all lie on each other. The same places every time: no chance is needed.
function positions(axis) {
  if (!axis.few) return axis.values;
  const found = sortedNumbers(Array.from(new Set(axis.values)));
  let gap = 1;
  for (let k = 1; k < found.length; k++) gap = k === 1 ? found[k] - found[0] : Math.min(gap, found[k] - found[k - 1]);
  const step = axis === axes[state.across] ? 0.7548776662 : 0.5698402910;
  return axis.values.map((value, i) => value + gap * 0.5 * (((i + 1) * step) % 1 - 0.5));
}

function middle(values) {
  const sorted = sortedNumbers(values);
  if (!sorted.length) return [0, 1];
  const all = [sorted[0], sorted[sorted.length - 1]];
  const inner = [quantile(sorted, 0.005), quantile(sorted, 0.995)];
  const reach = 0.12 * (inner[1] - inner[0]);
  let limits = state.far ? all : [Math.max(all[0], inner[0] - reach), Math.min(all[1], inner[1] + reach)];
  if (limits[0] === limits[1]) limits = [limits[0] - 1, limits[1] + 1];
  const margin = 0.04 * (limits[1] - limits[0]);
  return [limits[0] - margin, limits[1] + margin];
}

// The levels of a column that get a colour of their own: the most frequent ones, in their order.
function groupsOf(column) {
  const counts = new Array(column.levels.length).fill(0);
  column.codes.forEach((code) => { if (code >= 0) counts[code] += 1; });
  const order = counts.map((_, code) => code).sort((a, b) => counts[b] - counts[a]).slice(0, MOST_GROUPS);
  const collator = new Intl.Collator("en", { numeric: true });
  order.sort((a, b) => collator.compare(column.levels[a], column.levels[b]));
  return order.map((code, k) => ({ code, count: counts[code], colour: COLOURS[k % COLOURS.length],
    symbol: SYMBOLS[Math.floor(k / COLOURS.length)] }));
}

function markers(column) {
  const marker = { size: n > 3000 ? 5 : n > 800 ? 6 : 8, opacity: n > 800 ? 0.75 : 0.85,
    line: { width: 0.5, color: "#ffffff" } };
  if (column.kind === "number") {
    const sorted = sortedNumbers(column.values);
    const title = { text: plain(column.name), side: "right", font: { size: 13 } };
    return { ...marker, color: column.values.map((value) => (value === null ? NaN : value)),
      colorscale: "Viridis", cmin: quantile(sorted, 0.01), cmax: quantile(sorted, 0.99), showscale: true,
      colorbar: { title, thickness: 14, outlinewidth: 0, len: 0.9 } };
  }
  const byCode = new Map(groupsOf(column).map((group) => [group.code, group]));
  const look = (code, name, other) => (byCode.has(code) ? byCode.get(code)[name] : other);
  const colours = column.codes.map((code) => look(code, "colour", OTHERS));
  marker.line = { width: 0.5, color: colours.map((colour) => (colour === PALE ? "#6e6500" : "#ffffff")) };
  return { ...marker, color: colours,
    symbol: column.codes.map((code) => look(code, "symbol", "x-thin-open")) };
}

const hovered = data.columns.slice(0, MOST_HOVERED);

function hoverText(i) {
  const parts = ["<b>row " + plain(data.rows[i]) + "</b>"];
  if (data.y) parts.push(plain(data.y.name) + ": " + plain(cell(data.y, i)));
  parts.push("error: " + number(data.errors[i]));
  const column = colourings[state.colour];
  if (data.columns.includes(column) && !hovered.includes(column)) {
    parts.push(plain(column.name) + ": " + plain(cell(column, i)));
  }
  for (const one of hovered) parts.push(plain(one.name) + ": " + plain(cell(one, i)));
  if (data.columns.length > hovered.length) {
    parts.push("and " + (data.columns.length - hovered.length) + " more: click");
  }
  return parts.join("<br>");
}

// As vectors: the graphics card would be faster, but browsers without one warn, or draw nothing.
function drawCodes() {
  const across = axes[state.across], up = axes[state.up], column = colourings[state.colour];
  const x = positions(across), y = positions(up);
  const points = { type: "scatter", mode: "markers", x, y, text: data.rows.map((_, i) => hoverText(i)),
    hovertemplate: "%{text}<extra></extra>", marker: markers(column), selectedpoints: state.selected || undefined,
    unselected: { marker: { opacity: 0.12 } }, hoverlabel: { align: "left", bgcolor: "#ffffff",
    bordercolor: "#57606a", font: { ...FONT, size: 12 } } };
  const traces = [points];
  if (state.row !== null) {
    traces.push({ type: "scatter", mode: "markers", x: [x[state.row]], y: [y[state.row]], hoverinfo: "skip",
      unselected: { marker: { opacity: 1 } },
      marker: { size: 18, symbol: "circle-open", color: "#000000", line: { width: 3 } } });
  }
  const view = [state.across, state.up, state.far].join();
  const layout = { font: FONT, margin: { l: 60, r: 10, t: 30, b: 50 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff",
    dragmode: "lasso", hovermode: "closest", hoverdistance: 12, showlegend: false, uirevision: view,
    selectionrevision: view, xaxis: { ...AXIS, title: { text: across.name }, range: middle(x) },
    yaxis: { ...AXIS, title: { text: up.name }, range: middle(y) } };
  if (!state.drawnOutline) layout.selections = [];
  Plotly.react("codes-figure", traces, layout, { ...SETTINGS, modeBarButtons: PICK });
  describe(x, y, layout, across, up, column);
}

function describe(x, y, layout, across, up, column) {
  const notes = [], [left, right] = layout.xaxis.range, [low, high] = layout.yaxis.range;
  const outside = x.filter((_, i) => x[i] < left || x[i] > right || y[i] < low || y[i] > high).length;
  if (outside) {
    notes.push(outside + (outside === 1 ? " row lies" : " rows lie") + " outside the drawing: tick “Show far-off rows”.");
  }
  if (across.few || up.few) notes.push("Points are moved a little, since many lie on each other.");
  if (column.kind === "number") notes.push("Colours end at the first and the last hundredth of the rows.");
  byId("codes-note").textContent = notes.join(" ");
}

// ------------------------------------------------------------------ selections

function mark(colour, symbol) {
  const space = "http://www.w3.org/2000/svg", drawn = document.createElementNS(space, "svg");
  const shapes = { circle: "M7 1a6 6 0 1 0 .01 0z", diamond: "M7 0l7 7-7 7-7-7z", square: "M1 1h12v12h-12z" };
  const path = document.createElementNS(space, "path");
  const size = { width: 14, height: 14, viewBox: "0 0 14 14", "aria-hidden": "true" };
  for (const name in size) drawn.setAttribute(name, size[name]);
  path.setAttribute("d", shapes[symbol]);
  path.setAttribute("fill", colour);
  if (colour === PALE) path.setAttribute("stroke", "#6e6500");
  drawn.append(path);
  return drawn;
}

function groupButton(text, chosen, sign) {
  const button = element("button", null, { type: "button" });
  if (sign) button.append(sign);
  button.append(element("span", text));
  button.addEventListener("click", () => { state.drawnOutline = false; select(chosen()); drawCodes(); });
  return button;
}

const where = (test) => data.rows.map((_, i) => i).filter(test);

function drawGroups() {
  const column = colourings[state.colour], place = byId("groups"), buttons = [];
  if (column.kind === "category") {
    const groups = groupsOf(column), shown = new Set(groups.map((group) => group.code));
    for (const group of groups) {
      buttons.push(groupButton(column.levels[group.code] + " (" + group.count + ")",
        () => where((i) => column.codes[i] === group.code), mark(group.colour, group.symbol)));
    }
    const others = where((i) => column.codes[i] >= 0 && !shown.has(column.codes[i]));
    if (others.length) buttons.push(groupButton("others (" + others.length + ")", () => others));
    const missing = where((i) => column.codes[i] < 0);
    if (missing.length) buttons.push(groupButton("missing (" + missing.length + ")", () => missing));
  } else {
    const sorted = sortedNumbers(column.values), known = (i) => column.values[i] !== null;
    buttons.push(groupButton("lowest tenth of " + column.name,
      () => where((i) => known(i) && column.values[i] <= quantile(sorted, 0.1))));
    buttons.push(groupButton("highest tenth of " + column.name,
      () => where((i) => known(i) && column.values[i] >= quantile(sorted, 0.9))));
    const missing = where((i) => !known(i));
    if (missing.length) buttons.push(groupButton("missing (" + missing.length + ")", () => missing));
  }
  buttons.push(groupButton("none", () => null));
  place.replaceChildren(...buttons);
}

function select(chosen) {
  state.selected = chosen && chosen.length ? chosen : null;
  const place = byId("selected-table");
  if (!state.selected) {
    byId("selected-count").textContent = "No row is selected.";
    place.replaceChildren();
    return;
  }
  const count = state.selected.length + " of " + n + " drawn rows " + (state.selected.length === 1 ? "is" : "are");
  byId("selected-count").textContent = count + " selected. Columns that differ most from the other rows come first.";
  place.replaceChildren(compare(new Set(state.selected)));
}

function moments(values, chosen) {
  const sums = { inside: 0, outside: 0, nInside: 0, nOutside: 0, all: 0, squares: 0 };
  values.forEach((value, i) => {
    if (value === null) return;
    if (chosen.has(i)) { sums.inside += value; sums.nInside += 1; }
    else { sums.outside += value; sums.nOutside += 1; }
    sums.all += value;
  });
  const count = sums.nInside + sums.nOutside, mean = sums.all / count;
  values.forEach((value) => { if (value !== null) sums.squares += (value - mean) * (value - mean); });
  return { inside: sums.inside / sums.nInside, outside: sums.outside / sums.nOutside,
    deviation: Math.sqrt(sums.squares / count), isKnown: sums.nInside > 0 && sums.nOutside > 0 };
}

// How far apart the selected rows and the others are, in standard deviations of all.
function differenceOf(column, chosen) {
  if (column.kind === "number") {
    const found = moments(column.values, chosen);
    if (!found.isKnown || !found.deviation) return null;
    const apart = (found.inside - found.outside) / found.deviation;
    return { name: column.name, apart, inside: number(found.inside), outside: number(found.outside) };
  }
  const counts = column.levels.map(() => [0, 0]), totals = [0, 0];
  column.codes.forEach((code, i) => {
    if (code < 0) return;
    const side = chosen.has(i) ? 0 : 1;
    counts[code][side] += 1;
    totals[side] += 1;
  });
  if (!totals[0] || !totals[1]) return null;
  let best = null;
  counts.forEach(([inside, outside], code) => {
    const all = (inside + outside) / (totals[0] + totals[1]);
    if (all <= 0 || all >= 1) return;
    const shares = [inside / totals[0], outside / totals[1]];
    const apart = (shares[0] - shares[1]) / Math.sqrt(all * (1 - all));
    if (!best || apart > best.apart) {
      best = { name: column.name + " is " + column.levels[code], apart, inside: share(shares[0]), outside: share(shares[1]) };
    }
  });
  return best;
}

const share = (value) => (100 * value).toFixed(1) + " %";

function compare(chosen) {
  if (chosen.size === n) return element("p", "All rows are selected: there are no others to compare with.");
  const columns = data.columns.concat(data.y ? [data.y] : [], [errors]);
  const found = columns.map((column) => differenceOf(column, chosen)).filter((one) => one !== null);
  found.sort((a, b) => Math.abs(b.apart) - Math.abs(a.apart));
  const lines = found.slice(0, MOST_COMPARED).map((one) => [one.name, (one.apart > 0 ? "+" : "−")
    + Math.abs(one.apart).toFixed(2), one.inside, one.outside]);
  return table(["Column", "Apart, in standard deviations", "Selected", "Others"], lines);
}

function showRow(i, jump) {
  state.row = i;
  byId("row-name").textContent = "Row " + data.rows[i] + ", error " + number(data.errors[i]);
  const lines = (data.y ? [data.y] : []).concat(data.columns).map((column) => [column.name, cell(column, i)]);
  byId("row-table").replaceChildren(table(["Column", "Value"], lines));
  if (jump) byId("codes").scrollIntoView();
  const x = positions(axes[state.across]), y = positions(axes[state.up]);
  const [across, up] = [middle(x), middle(y)];
  if (x[i] < across[0] || x[i] > across[1] || y[i] < up[0] || y[i] > up[1]) {
    state.far = byId("far").checked = true;
  }
  drawCodes();
}

// ------------------------------------------------------------------ menus

function fill(id, things, name) {
  const menu = byId(id);
  things.forEach((thing, k) => menu.append(element("option", thing.name, { value: k })));
  menu.value = state[name];
  menu.addEventListener("change", () => {
    state[name] = Number(menu.value);
    if (name === "colour") drawGroups();
    else state.drawnOutline = false;
    drawCodes();
  });
}

function listen() {
  const drawing = byId("codes-figure");
  drawing.on("plotly_selected", (event) => {
    if (!event || !event.points) return;
    state.drawnOutline = true;
    select(event.points.filter((point) => point.curveNumber === 0).map((point) => point.pointNumber));
  });
  drawing.on("plotly_deselect", () => { state.drawnOutline = false; select(null); });
  drawing.on("plotly_click", (event) => {
    if (event.points[0].curveNumber === 0) showRow(event.points[0].pointNumber, false);
  });
  byId("far").addEventListener("change", (event) => { state.far = event.target.checked; drawCodes(); });
  byId("find").addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = byId("find-text").value.trim();
    const found = data.rows.findIndex((label) => String(label) === wanted);
    byId("find-answer").textContent = found < 0 ? "No such row among those drawn." : "";
    if (found >= 0) showRow(found, false);
  });
  document.querySelectorAll("button.row").forEach((button) => button.addEventListener("click", () => {
    showRow(data.worst[Number(button.dataset.place)], true);
  }));
}

state.up = axes.length > 1 ? 1 : 0;
drawTraining();
drawCumulative();
fill("colour", colourings, "colour");
fill("across", axes, "across");
fill("up", axes, "up");
drawGroups();
drawCodes();
listen();
})();
