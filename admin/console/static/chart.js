// The curve of the overview, drawn by uPlot. A canvas knows no variables, so colours are resolved first.

const place = document.getElementById("chart");
const curve = document.getElementById("curve");
let plot;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function under(line) {
  return (chart) => {
    if (!chart.bbox.height) return "transparent";
    const { top, height } = chart.bbox;
    const shade = chart.ctx.createLinearGradient(0, top, 0, top + height);
    shade.addColorStop(0, `${line}44`);
    shade.addColorStop(1, `${line}00`);
    return shade;
  };
}

function draw() {
  plot?.destroy();
  const ink = colour("--ink-soft"), line = colour("--line"), good = colour("--good");
  const axis = { stroke: ink, font: "12px Inter, system-ui, sans-serif", ticks: { show: false } };
  plot = new uPlot({
    width: place.clientWidth,
    height: place.clientHeight,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: { y: { range: (_, __, most) => [0, Math.max(10, most * 1.1)] } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, values: (_, times) => times.map(clockTime) },
      { ...axis, grid: { stroke: line, dash: [4, 4] }, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] },
    ],
    series: [
      {},
      { stroke: good, width: 2, fill: under(good), points: { show: false } },
      { stroke: colour("--sent"), width: 2, points: { show: false } },
      { stroke: colour("--bad"), width: 2, points: { show: false }, paths: uPlot.paths.bars({ size: [0.5, 3] }) },
    ],
  }, JSON.parse(curve.textContent), place);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
function clockTime(seconds) {
  return clock.format(new Date(seconds * 1000));
}

draw();
document.addEventListener("theme-changed", draw);
new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: place.clientHeight })).observe(place);
document.body.addEventListener("htmx:sseMessage", (event) => {
  if (event.detail.type === "curve") plot.setData(JSON.parse(event.detail.data));
});
