"use strict";
const scheme = matchMedia("(prefers-color-scheme: dark)");
const viridis = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

// Colour of a share, from 0 to 1, on the scale of scores; its dark or bright end is cut off where it would
// vanish in the page's colour.
function scaled(share) {
  const place = scheme.matches ? 0.25 + 0.75 * share : 0.9 * share;
  const low = Math.min(Math.floor(place * 4), 3), rest = place * 4 - low;
  return `rgb(${viridis[low].map((value, k) => Math.round(value + rest * (viridis[low + 1][k] - value)))})`;
}

// Replace the names of colours by the scheme's colours, in whatever stands in a figure.
function coloured(content, style) {
  if (typeof content === "string" && content.startsWith("@scale")) return scaled(Number(content.slice(6)));
  if (typeof content === "string" && content.startsWith("@"))
    return style.getPropertyValue("--" + content.slice(1)).trim() || content;
  if (Array.isArray(content)) return content.map(each => coloured(each, style));
  if (content && typeof content === "object")
    return Object.fromEntries(Object.entries(content).map(([key, value]) => [key, coloured(value, style)]));
  return content;
}

function draw() {
  const style = getComputedStyle(document.documentElement);
  const text = style.getPropertyValue("--text").trim(), line = style.getPropertyValue("--line").trim();
  for (const script of document.querySelectorAll("script[data-for]")) {
    const figure = coloured(JSON.parse(script.textContent), style);
    const axes = {gridcolor: line, zerolinecolor: line, linecolor: line};
    const layout = {
      ...figure.layout,
      autosize: true,
      margin: {l: 50, r: 16, t: 16, b: 44, ...figure.layout.margin},
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: {color: text, size: 12, family: "system-ui, sans-serif"},
      hoverlabel: {font: {color: text}, bgcolor: style.getPropertyValue("--panel").trim(), bordercolor: line},
      legend: {orientation: "h", y: -0.25, yanchor: "top"},
      xaxis: {...axes, ...figure.layout.xaxis},
      yaxis: {...axes, ...figure.layout.yaxis},
    };
    Plotly.react(script.dataset.for, figure.data, layout, {responsive: true, displaylogo: false, displayModeBar: "hover"});
  }
}
draw();
scheme.addEventListener("change", draw);
