"use strict";
const scheme = matchMedia("(prefers-color-scheme: dark)");
const narrow = matchMedia("(max-width: 600px)");
const viridis = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

// Return the colour of a score from 0 to 1. The dark or bright end of the scale is omitted, because it would
// not contrast with the background of the page.
function scaleColour(score) {
  const position = scheme.matches ? 0.3 + 0.7 * score : 0.65 * score;
  const low = Math.min(Math.floor(position * 4), 3), rest = position * 4 - low;
  return `rgb(${viridis[low].map((value, k) => Math.round(value + rest * (viridis[low + 1][k] - value)))})`;
}

// Replace the names of colours in a figure by the colours of the light or dark scheme.
function withColours(content, style) {
  if (typeof content === "string" && content.startsWith("@scale")) return scaleColour(Number(content.slice(6)));
  if (typeof content === "string" && content.startsWith("@"))
    return style.getPropertyValue("--" + content.slice(1)).trim() || content;
  if (Array.isArray(content)) return content.map(item => withColours(item, style));
  if (content && typeof content === "object")
    return Object.fromEntries(Object.entries(content).map(([key, value]) => [key, withColours(value, style)]));
  return content;
}

function drawOne(script) {
  const style = getComputedStyle(document.documentElement);
  const text = style.getPropertyValue("--text").trim(), line = style.getPropertyValue("--line").trim();
  const figure = withColours(JSON.parse(script.textContent), style);
  const axes = {gridcolor: line, zerolinecolor: line, linecolor: line};
  const layout = {
    ...figure.layout,
    annotations: (figure.layout.annotations || []).filter(label => label.name !== "wide" || !narrow.matches),
    autosize: true,
    margin: {l: narrow.matches ? 30 : 50, r: 16, t: 16, b: 44, ...figure.layout.margin},
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: {color: text, size: 12, family: "system-ui, sans-serif"},
    hoverlabel: {font: {color: text}, bgcolor: style.getPropertyValue("--panel").trim(), bordercolor: line},
    legend: {orientation: "h", y: -0.22, yanchor: "top"},
    dragmode: narrow.matches ? false : "zoom",
    xaxis: {...axes, ...figure.layout.xaxis},
    yaxis: {...axes, ...figure.layout.yaxis},
  };
  Plotly.react(script.dataset.for, figure.data, layout, {responsive: true, displaylogo: false, displayModeBar: false});
}

// Draw the plots that are visible; one in a closed section has no width until the section is opened.
function draw() {
  for (const script of document.querySelectorAll("script[data-for]"))
    if (document.getElementById(script.dataset.for).offsetWidth) drawOne(script);
}
draw();
scheme.addEventListener("change", draw);
narrow.addEventListener("change", draw);
for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", draw);
