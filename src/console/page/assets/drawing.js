// What a session's page and its report draw alike: numbers in words, and the two charts.
"use strict";

const byId = (id) => document.getElementById(id);
const dash = "–";
const fixed = (value, digits) => value.toLocaleString("en-US", {minimumFractionDigits: digits, maximumFractionDigits: digits});
const dollars = (value) => value === null ? dash : `${value < 0 ? "-" : ""}$${fixed(Math.abs(value), 2)}`;
const price = (value) => value === null ? dash : value.toLocaleString("en-US", {minimumFractionDigits: 2, maximumFractionDigits: 4});
const count = (value) => value === null ? dash : value.toLocaleString("en-US");
const toneOf = (value) => value > 0 ? "good" : value < 0 ? "bad" : "";
const element = (name, text, kind = "") => { const made = document.createElement(name); made.textContent = text; made.className = kind; return made; };

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
  const priceChart = LightweightCharts.createChart(byId("price"), look());
  const candleSeries = priceChart.addSeries(LightweightCharts.CandlestickSeries, {});
  const markers = LightweightCharts.createSeriesMarkers(candleSeries, []);
  const equityChart = LightweightCharts.createChart(byId("equity"), look());
  equityChart.applyOptions({layout: {attributionLogo: false}});  // the chart above bears it
  const equitySeries = equityChart.addSeries(LightweightCharts.LineSeries, {lineWidth: 2, title: "equity"});
  const drawdownSeries = equityChart.addSeries(LightweightCharts.BaselineSeries, {
    title: "drawdown", lineWidth: 1, baseValue: {type: "price", price: 0},
    bottomLineColor: "#c0303b", bottomFillColor1: "rgba(192,48,59,.1)", bottomFillColor2: "rgba(192,48,59,.4)",
    priceFormat: {type: "custom", minMove: 0.0001, formatter: (ratio) => `${(100 * ratio).toFixed(2)}%`},
  }, 1);
  equityChart.panes()[0].setStretchFactor(2);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { priceChart.applyOptions(look()); equityChart.applyOptions(look()); });
  return {priceChart, candleSeries, markers, equityChart, equitySeries, drawdownSeries};
};

// A tab for each symbol, the first one chosen; `show` draws the symbol that is.
const makeTabs = (symbols, show) => {
  let chosen;
  const choose = (symbol) => {
    chosen = symbol;
    for (const tab of byId("tabs").children) { tab.setAttribute("aria-selected", String(tab.textContent === symbol)); tab.tabIndex = tab.textContent === symbol ? 0 : -1; }
    show(symbol);
  };
  byId("tabs").replaceChildren(...symbols.map((symbol) => {
    const tab = Object.assign(element("button", symbol), {type: "button"});
    tab.setAttribute("role", "tab");
    tab.addEventListener("click", () => choose(symbol));
    return tab;
  }));
  byId("tabs").addEventListener("keydown", (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step) return;
    choose(symbols[(symbols.indexOf(chosen) + step + symbols.length) % symbols.length]);
    byId("tabs").querySelector("[aria-selected=true]").focus();
  });
  choose(symbols[0]);
};
