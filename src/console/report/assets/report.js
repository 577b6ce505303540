// The report of a session: draws what the data in this very file say. It asks nothing of anywhere.
"use strict";

const report = JSON.parse(document.getElementById("data").textContent);
const percent = (value) => value === null ? dash : `${fixed(100 * value, 2)}%`;
const number = (value) => value === null ? dash : fixed(value, 2);
const moment = (iso) => iso.replace("T", " ").replace("Z", "");

// --- words and tables -----------------------------------------------------------------------------------------------

const statistics = report.statistics;
const shown = {
  total_return: ["Return", percent], volatility: ["Volatility, annual", percent], sharpe: ["Sharpe ratio", number], sortino: ["Sortino ratio", number],
  max_drawdown: ["Maximum drawdown", percent], trades: ["Round trips", count], win_rate: ["Win rate", percent], profit_factor: ["Profit factor", number],
  average_trade: ["Average round trip", dollars], exposure: ["Exposure", percent], turnover: ["Turnover", number], commissions: ["Commissions", dollars],
  slippage: ["Slippage", dollars], cost_share: ["Cost, basis points", number],
};

const fillTable = (id, rows, nothing) => {
  const table = byId(id), columns = table.tHead.rows[0].cells.length;
  const made = rows.map((cells) => { const row = document.createElement("tr"); row.append(...cells.map(([text, kind]) => element("td", text, kind))); return row; });
  if (!made.length) { const row = document.createElement("tr"); row.append(Object.assign(element("td", nothing, "dim"), {colSpan: columns})); made.push(row); }
  table.tBodies[0].replaceChildren(...made);
};

const tell = () => {
  const words = {simulated: "SIMULATED - not real money", paper: "PAPER - play money at IB", live: "LIVE - REAL MONEY"};
  document.body.dataset.mode = report.mode;
  document.title = `Session ${report.session}: ${words[report.mode] ?? report.mode}`;
  byId("mode").textContent = words[report.mode] ?? report.mode;
  byId("what").textContent = `session ${report.session}${report.notes.strategy ? ` · ${report.notes.strategy}` : ""}${report.notes.symbols ? ` on ${report.notes.symbols.join(", ")}` : ""}`;
  byId("period").textContent = report.period ? `${moment(report.period[0])} to ${moment(report.period[1])} UTC` : "";
  const warning = [report.notes.prices, report.days && report.days < 20 ? `The annual figures come from ${report.days === 1 ? "one day" : `${report.days} days`}: they say little.` : ""].filter(Boolean).join(" ");
  byId("warning").hidden = !warning;
  byId("warning").textContent = warning;
  const figure = (name, text, kind) => { const box = document.createElement("div"); box.append(element("span", name), element("b", text, kind)); return box; };
  const realized = report.fills.reduce((sum, each) => sum + each.realized_pnl, 0);
  byId("figures").replaceChildren(
    figure("Return", percent(statistics.total_return), toneOf(statistics.total_return)), figure("Realized, net", dollars(realized), toneOf(realized)),
    figure("Final equity", report.curve.length ? dollars(report.curve.at(-1)[1]) : dash), figure("Max. drawdown", percent(statistics.max_drawdown)),
    figure("Fills", count(report.fills.length)), figure("Commissions", dollars(statistics.commissions)), figure("Slippage", dollars(statistics.slippage)),
    figure("Win rate", percent(statistics.win_rate)), figure("Sharpe", number(statistics.sharpe)),
  );
  fillTable("statistics", Object.entries(shown).map(([name, [title, as]]) => [[title], [as(statistics[name])], [report.definitions[name]]]), "");
  fillTable("trips", report.round_trips.map((each) => [[each.symbol], [moment(each.opened)], [moment(each.closed)], [count(each.shares)], [price(each.entry_price)],
    [price(each.exit_price)], [dollars(each.commissions)], [dollars(each.pnl), toneOf(each.pnl)]]), "no position was closed");
  fillTable("fills", report.fills.map((each) => [[each.order_ref], [moment(each.time)], [`${each.action} ${count(each.shares)} ${each.symbol}`], [price(each.price)],
    [price(each.decided_at)], [dollars(each.slippage)], [number(each.slippage_bps)], [dollars(each.commission)], [dollars(each.realized_pnl), toneOf(each.realized_pnl)]]), "nothing was filled");
  fillTable("refused", report.refused.map((each) => [[each.order_ref], [moment(each.time)], [each.words, "words"], [each.by], [each.reason, "words"]]), "none");
  fillTable("remarks", report.remarks.map((each) => [[each.kind], [moment(each.time)], [each.text, "words"]]), "none");
  const notes = Object.entries(report.notes).filter(([name]) => name !== "prices").map(([name, value]) => [name.replaceAll("_", " "), typeof value === "object" ? JSON.stringify(value) : String(value)]);
  const ran = [["mode", report.mode], ["began", `${moment(report.began)} UTC`], ["ended", report.ended ? `${moment(report.ended)} UTC` : dash], ["how it ended", report.how_it_ended],
    ...notes, ["version", report.version], ["code", report.code_hash], ["configuration", report.configuration_hash]];
  byId("ran").replaceChildren(...ran.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
};

// --- charts ---------------------------------------------------------------------------------------------------------

let priceChart, candleSeries, markers, equityChart, equitySeries, drawdownSeries;

const drawCharts = () => {
  const symbols = Object.keys(report.bars);
  if (!symbols.length) { byId("charts").replaceChildren(element("p", "No prices were recorded in this session.", "dim")); return; }
  ({priceChart, candleSeries, markers, equityChart, equitySeries, drawdownSeries} = makeCharts());
  equitySeries.setData(report.curve.map(([time, value]) => ({time, value})));
  drawdownSeries.setData(report.curve.map(([time, , value]) => ({time, value})));
  equityChart.timeScale().fitContent();

  const show = (symbol) => {
    const bars = report.bars[symbol].map(([time, open, high, low, close]) => ({time, open, high, low, close}));
    candleSeries.setData(bars);
    // A fill stands at the bar it happened in: the last one that began before it.
    const isCrowded = report.marks.filter(([of]) => of === symbol).length > 40;  // arrows alone can still be told apart
    markers.setMarkers(report.marks.filter(([of]) => of === symbol).map(([, time, side, , at]) => {
      const bar = bars.findLast((each) => each.time <= time) ?? bars[0], buys = side === "BUY";
      return {time: bar.time, position: buys ? "belowBar" : "aboveBar", shape: buys ? "arrowUp" : "arrowDown", color: buys ? "#0b8f63" : "#d23a45", text: isCrowded ? "" : `${side[0]} ${price(at)}`};
    }));
    priceChart.timeScale().fitContent();
  };
  makeTabs(symbols, show);
};

tell();
drawCharts();
