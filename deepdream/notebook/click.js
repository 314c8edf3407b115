// An image with a marked place, which a click or the arrow keys move.
function render({ model, el }) {
  const [width, height] = model.get("size");
  const frame = document.createElement("div");
  frame.style.cssText = `position:relative;width:${width}px;max-width:100%;cursor:crosshair`;
  frame.tabIndex = 0;
  frame.setAttribute("role", "application");
  frame.setAttribute("aria-label", `${model.get("alt")}. The arrow keys move the marked place.`);
  const picture = document.createElement("img");
  picture.src = model.get("source");
  picture.alt = model.get("alt");
  picture.draggable = false;
  picture.style.cssText = "display:block;width:100%";
  const mark = document.createElement("div");
  mark.style.cssText =
    "position:absolute;width:18px;height:18px;margin:-11px;border:2px solid black;outline:2px solid white;pointer-events:none";
  frame.append(picture, mark);
  el.append(frame);

  const move = (column, row) => {
    const inside = (value, size) => Math.max(0, Math.min(size - 1, Math.floor(value)));
    model.set("place", [inside(column, width), inside(row, height)]);
    model.save_changes();
  };
  const draw = () => {
    const [column, row] = model.get("place");
    mark.style.left = `${(100 * (column + 0.5)) / width}%`;
    mark.style.top = `${(100 * (row + 0.5)) / height}%`;
  };
  frame.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    move(((event.clientX - box.left) / box.width) * width, ((event.clientY - box.top) / box.height) * height);
  });
  frame.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const [column, row] = model.get("place");
    move(column + (step[0] * width) / 16, row + (step[1] * height) / 16);
  });
  model.on("change:place", draw);
  draw();
}
export default { render };
