
// In a page of its own: the document lies in the page, and places that are named lead to frames.
const data = JSON.parse(document.getElementById("document").textContent);
const graph = graphIn(document.querySelector(".flame"), data);
document.querySelector("main").addEventListener("click", (event) => {
  const { find } = event.target.dataset;
  if (find === undefined) return;
  event.preventDefault();
  graph.lookFor(find);
  graph.canvas.scrollIntoView({ block: "nearest" });
});
