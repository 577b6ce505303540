// The page of a session: it draws what the stream of events brings, and sends one command, the kill switch.
"use strict";

const byId = (id) => document.getElementById(id);
const token = location.hash.slice(1);
const dark = matchMedia("(prefers-color-scheme: dark)");
const dash = "–";
const dollars = (value) => value === null ? dash : `${value < 0 ? "-" : ""}$${Math.abs(value).toLocaleString("en-US", {minimumFractionDigits: 2, maximumFractionDigits: 2})}`;
const price = (value) => value === null ? dash : value.toLocaleString("en-US", {minimumFractionDigits: 2, maximumFractionDigits: 4});
const count = (value) => value === null ? dash : value.toLocaleString("en-US");
const clock = (iso) => iso.slice(11, 19);
const span = (seconds) => seconds === null ? dash : seconds < 60 ? `${Math.round(seconds)} s` : seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
const toneOf = (value) => value > 0 ? "good" : value < 0 ? "bad" : "";

// --- charts ---------------------------------------------------------------------------------------------------------

const charts = {candles: new Map(), marks: new Map(), curve: [], shown: null};
let priceChart, candleSeries, markers, equityChart, equitySeries, drawdownSeries;

const look = () => {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    autoSize: true,
    layout: {background: {color: of("--card")}, textColor: of("--ink")},
    grid: {vertLines: {color: of("--line")}, horzLines: {color: of("--line")}},
    rightPriceScale: {borderColor: of("--line")},
    timeScale: {borderColor: of("--line"), timeVisible: true, secondsVisible: false},
  };
};

const makeCharts = () => {
  priceChart = LightweightCharts.createChart(byId("price"), look());
  candleSeries = priceChart.addSeries(LightweightCharts.CandlestickSeries, {});
  markers = LightweightCharts.createSeriesMarkers(candleSeries, []);
  equityChart = LightweightCharts.createChart(byId("equity"), look());
  equityChart.applyOptions({layout: {attributionLogo: false}});  // the chart above bears it
  equitySeries = equityChart.addSeries(LightweightCharts.LineSeries, {lineWidth: 2, title: "equity"});
  drawdownSeries = equityChart.addSeries(LightweightCharts.BaselineSeries, {
    title: "drawdown", lineWidth: 1, baseValue: {type: "price", price: 0},
    bottomLineColor: "#c0303b", bottomFillColor1: "rgba(192,48,59,.1)", bottomFillColor2: "rgba(192,48,59,.4)",
    priceFormat: {type: "custom", minMove: 0.0001, formatter: (ratio) => `${(100 * ratio).toFixed(2)}%`},
  }, 1);
  equityChart.panes()[0].setStretchFactor(2);
  dark.addEventListener("change", () => { priceChart.applyOptions(look()); equityChart.applyOptions(look()); });
};

const listOf = (map, symbol) => map.get(symbol) ?? map.set(symbol, []).get(symbol);
const candleOf = ([, time, open, high, low, close]) => ({time, open, high, low, close});

const takeChart = (news, isFirst) => {
  for (const row of news.candles) listOf(charts.candles, row[0]).push(candleOf(row));
  for (const row of news.marks) listOf(charts.marks, row[0]).push(row);
  for (const row of news.curve) charts.curve.push(row);
  if (isFirst) { drawPrice(); drawCurve(); return; }
  for (const row of news.candles) if (row[0] === charts.shown) candleSeries.update(candleOf(row));
  if (news.marks.length) drawMarks();
  for (const [time, equity, fall] of news.curve) { equitySeries.update({time, value: equity}); drawdownSeries.update({time, value: fall}); }
};

const drawPrice = () => { candleSeries.setData(listOf(charts.candles, charts.shown)); drawMarks(); priceChart.timeScale().fitContent(); };
const drawCurve = () => {
  equitySeries.setData(charts.curve.map(([time, value]) => ({time, value})));
  drawdownSeries.setData(charts.curve.map(([time, , value]) => ({time, value})));
  equityChart.timeScale().fitContent();
};

// A fill stands at the bar it happened in: the last one that began before it.
const drawMarks = () => {
  const bars = listOf(charts.candles, charts.shown);
  const shown = listOf(charts.marks, charts.shown).map(([, time, side, shares, at]) => {
    const bar = bars.findLast((each) => each.time <= time) ?? bars[0];
    const buys = side === "BUY";
    return bar && {time: bar.time, position: buys ? "belowBar" : "aboveBar", shape: buys ? "arrowUp" : "arrowDown", color: buys ? "#0b8f63" : "#d23a45", text: `${side[0]} ${price(at)}`};
  });
  markers.setMarkers(shown.filter(Boolean));
};

const showSymbol = (symbol) => {
  charts.shown = symbol;
  for (const tab of byId("tabs").children) {
    tab.setAttribute("aria-selected", String(tab.textContent === symbol));
    tab.tabIndex = tab.textContent === symbol ? 0 : -1;
  }
  drawPrice();
};

const makeTabs = (symbols) => {
  byId("tabs").replaceChildren(...symbols.map((symbol) => {
    const tab = document.createElement("button");
    Object.assign(tab, {type: "button", textContent: symbol});
    tab.setAttribute("role", "tab");
    tab.addEventListener("click", () => showSymbol(symbol));
    return tab;
  }));
  byId("tabs").addEventListener("keydown", (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step) return;
    const next = symbols[(symbols.indexOf(charts.shown) + step + symbols.length) % symbols.length];
    showSymbol(next);
    byId("tabs").querySelector("[aria-selected=true]").focus();
  });
  showSymbol(symbols[0]);
};

// --- figures and tables ---------------------------------------------------------------------------------------------

const element = (name, text, kind = "") => { const made = document.createElement(name); made.textContent = text; made.className = kind; return made; };
const fillRows = (id, rows, columns, nothing) => {
  const body = byId(id).tBodies[0];
  if (rows.length) { body.replaceChildren(...rows); return; }
  const row = document.createElement("tr");
  row.append(Object.assign(element("td", nothing, "dim"), {colSpan: columns}));
  body.replaceChildren(row);
};
const rowOf = (...cells) => { const row = document.createElement("tr"); for (const [text, kind] of cells) row.append(element("td", text, kind)); return row; };
const pairs = (id, entries) => byId(id).replaceChildren(...entries.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));

const draw = (view) => {
  document.body.dataset.mode = view.mode;
  document.title = `${view.mode_words} · Understudy`;
  byId("mode").textContent = view.mode_words;
  byId("account").textContent = view.account;
  byId("where").textContent = `${view.where} · ${view.strategy} · session ${view.session}`;
  byId("now").textContent = `${view.now.replace("T", " ").replace("Z", "")} UTC`;
  const trouble = view.is_over ? "The session is over." : view.connected ? view.trouble : `NOT CONNECTED. ${view.trouble ?? ""}`;
  byId("trouble").hidden = !trouble;
  byId("trouble").textContent = trouble ?? "";
  const total = view.realized_pnl + view.unrealized_pnl;
  const figure = (name, text, kind) => { const box = document.createElement("div"); box.append(element("span", name), element("b", text, kind)); return box; };
  byId("figures").replaceChildren(
    figure("Session P&L", dollars(total), toneOf(total)), figure("Realized", dollars(view.realized_pnl), toneOf(view.realized_pnl)),
    figure("Equity", dollars(view.equity)), figure("Max. drawdown", `${(100 * view.max_drawdown).toFixed(2)}%`),
    figure("Commissions", dollars(view.commissions)), figure("Orders / fills", `${count(view.orders)} / ${count(view.fills)}`),
    figure("Refused", count(view.refused), view.refused ? "warning" : ""), figure("Net liquidation", dollars(view.net_liquidation)),
    figure("Available", dollars(view.available_funds)),
  );
  byId("decision").textContent = view.explanation ? `${view.strategy}: ${view.explanation}` : "The strategy has not seen a bar yet.";
  fillRows("positions", view.holdings.map((each) => rowOf([each.symbol], [price(each.last)], [price(each.bid)], [price(each.ask)], [span(each.age)],
    [count(each.own)], [price(each.cost)], [dollars(each.pnl), toneOf(each.pnl)], [count(each.account)])), 9, "no symbols");
  fillRows("orders", (view.working ?? []).map((each) => rowOf([String(each.order_id)], [`${each.action} ${each.symbol}`], [count(each.quantity)], [each.type],
    [[each.stop, each.limit].filter((level) => level !== null).map(price).join(" / ") || dash], [count(each.filled)], [each.status], [each.origin])), 8,
    view.working === null ? "not known now" : "none");
  pairs("health", [["Connection", view.connected ? "connected" : "NOT CONNECTED"], ["Prices", `${view.data_source}, ${span(view.data_age)} old`],
    ["Last message", view.message_age === null ? dash : `${span(view.message_age)} ago`], ["Library", view.library ?? "none"],
    ["Server version", view.server_version === null ? dash : String(view.server_version)], ["Reconnects", count(view.reconnects)],
    ["Bars", count(view.bars)], ["Market closes in", span(view.closes_in)], ["Session ends", view.ends_at ? `${clock(view.ends_at)} UTC` : dash]]);
  pairs("limits", view.limits.length ? view.limits.map((each) => [each.rule, `${each.used} of ${each.limit}`]) : [["none told", dash]]);
  byId("events").replaceChildren(...view.events.toReversed().map((each) => {
    const line = element("li", "", each.tone);
    line.append(element("time", clock(each.time)), each.text);
    return line;
  }));
  byId("kill").disabled = Boolean(view.stopped);
};

// --- the stream and the switch --------------------------------------------------------------------------------------

const sayOld = () => {
  byId("trouble").hidden = false;
  byId("trouble").textContent = "The session does not answer: what stands here is old.";
};
// A stream that stays open and says nothing is a session that hangs.
let silence;
let isFirst = true;
const stream = new EventSource("/events");
// A stream that begins anew brings everything again.
stream.addEventListener("open", () => { isFirst = true; charts.candles.clear(); charts.marks.clear(); charts.curve.length = 0; });
stream.addEventListener("message", (event) => {
  const {view, chart} = JSON.parse(event.data);
  if (!priceChart) { makeCharts(); makeTabs(view.holdings.map((each) => each.symbol)); }
  draw(view);
  takeChart(chart, isFirst);
  isFirst = false;
  clearTimeout(silence);
  silence = setTimeout(sayOld, 5000);
});
stream.addEventListener("error", sayOld);

let isArmed = null;
byId("kill").addEventListener("click", async () => {
  const button = byId("kill");
  if (!isArmed) {
    button.textContent = "Press again to stop everything";
    isArmed = setTimeout(() => { isArmed = null; button.textContent = "Kill switch"; }, 5000);
    return;
  }
  clearTimeout(isArmed);
  isArmed = null;
  button.textContent = "Kill switch";
  byId("killed").textContent = "...";
  try {
    const answer = await fetch("/kill", {method: "POST", headers: {"X-Understudy-Token": token}});
    byId("killed").textContent = (await answer.json()).words;
  } catch {
    byId("killed").textContent = "NOT STOPPED: the session does not answer. Press Ctrl-C in its terminal, or run python -m src kill.";
  }
});
