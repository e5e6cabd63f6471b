
// In a page of its own: the document lies in the page, and the table's functions lead to frames.
const data = JSON.parse(document.getElementById("document").textContent);
const graph = graphIn(document.querySelector(".flame"), data);
document.getElementById("table").addEventListener("click", ({ target }) => {
  const { row } = target.dataset;
  if (row === undefined) return;
  const { name, file } = data.functions[row];
  graph.show(textOf({ name, file }));
  graph.canvas.scrollIntoView({ block: "nearest" });
});
