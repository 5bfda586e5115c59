// What the pointer is on, as a number beside the name of the chart. Without this nothing is missing.
for (const chart of document.querySelectorAll("svg.chart")) {
  const [left, width, whole] = chart.dataset.x.split(",").map(Number);
  const ends = JSON.parse(chart.dataset.rows), values = JSON.parse(chart.dataset.values);
  const begin = Number(chart.dataset.from), told = chart.parentNode.querySelector("output");
  chart.addEventListener("pointerleave", () => (told.value = ""));
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const share = (((event.clientX - box.left) / box.width) * whole - left) / width;
    const at = begin + share * (ends[ends.length - 1] - begin);
    const i = ends.findIndex((end) => end >= at);
    if (share < 0 || i < 0) return;
    const value = values[i] === null ? "not known" : `${values[i]} ${chart.dataset.unit}`;
    told.value = `${Math.round(ends[i])} s: ${value}`;
  });
}
