// The speed over time. Its pointer means a place on the track.

import { colours, onSchemeChange } from "./colours.js";
import { libraries } from "./library.js";

const height = 120;

/**
 * speedChart makes the chart in an element. show(points) draws; onPoint(point) is called while a
 * pointer is over the chart; mark(point) puts the line at a point.
 */
export async function speedChart(container, { onPoint, signal }) {
  const { uPlot } = await libraries();
  if (signal.aborted) return null;
  let plot = null;
  let points = [];
  let isOver = false; // the pointer: the library also tells of places where nobody points

  const options = (paint) => ({
    width: Math.max(200, container.clientWidth), height, padding: [10, 8, 0, 0], legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, points: { size: 8 } },
    scales: { y: { range: (_, __, most) => [0, Math.max(10, most * 1.08)] } },
    axes: [
      { stroke: paint["text-muted"], grid: { stroke: paint.line, width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif", size: 26, values: hours },
      { stroke: paint["text-muted"], grid: { stroke: paint.line, width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif", size: 44, values: (_, ticks) => ticks },
    ],
    series: [{}, { stroke: paint.accent, width: 1.5, fill: `${paint.accent}26`, spanGaps: false }],
    hooks: { setCursor: [({ cursor: { idx } }) => { if (isOver && idx !== null && idx !== undefined) onPoint(points[idx]); }] },
  });
  const data = () => [points.map(({ at }) => at / 1000), points.map(({ pace }) => (pace === undefined ? null : pace * 3.6))];
  const make = () => {
    plot?.destroy();
    plot = new uPlot(options(colours()), data(), container);
  };
  const show = (track) => {
    points = track.filter(({ outlier }) => !outlier);
    if (plot) plot.setData(data());
    else make();
  };
  const mark = (point) => {
    if (!plot) return;
    if (isOver) return;
    const left = point ? plot.valToPos(point.at / 1000, "x") : -10;
    plot.setCursor({ left, top: point ? 10 : -10 }, false);
  };
  container.addEventListener("pointerenter", () => { isOver = true; });
  container.addEventListener("pointerleave", () => { isOver = false; });
  const resized = new ResizeObserver(() => plot?.setSize({ width: Math.max(200, container.clientWidth), height }));
  resized.observe(container);
  onSchemeChange(() => { if (plot) make(); }, signal);
  signal.addEventListener("abort", () => {
    resized.disconnect();
    plot?.destroy();
  });
  return { show, mark };
}

const clockTick = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayTick = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

function hours(_, ticks) {
  const isLong = ticks.length > 1 && ticks[1] - ticks[0] >= 86_400;
  return ticks.map((seconds) => (isLong ? dayTick : clockTick).format(seconds * 1000));
}
