// The page of a session: it draws what the stream of events brings, and sends one command, the kill switch.
"use strict";

const token = location.hash.slice(1);
const clock = (iso) => iso.slice(11, 19);
const span = (seconds) => seconds === null ? dash : seconds < 60 ? `${Math.round(seconds)} s` : seconds < 3600 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;

// --- charts ---------------------------------------------------------------------------------------------------------

const charts = {candles: new Map(), marks: new Map(), curve: [], shown: null};
let priceChart, candleSeries, markers, equityChart, equitySeries, drawdownSeries;

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

// --- figures and tables ---------------------------------------------------------------------------------------------

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
  if (!priceChart) {
    ({priceChart, candleSeries, markers, equityChart, equitySeries, drawdownSeries} = makeCharts());
    makeTabs(view.holdings.map((each) => each.symbol), (symbol) => { charts.shown = symbol; drawPrice(); });
  }
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
