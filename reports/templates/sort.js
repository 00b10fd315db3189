// Makes the columns of the tables of variants sortable. The page is whole without it.
for (const table of document.querySelectorAll("table.variants")) {
  const heads = [...table.querySelectorAll("thead th[data-sort]")];
  const bodies = [...table.tBodies].filter((body) => body.classList.contains("variant"));
  const after = bodies.length ? bodies[bodies.length - 1].nextSibling : null;
  if (bodies.length < 2) continue;
  const sort = (head) => {
    const key = head.dataset.sort;
    const turned = { ascending: "descending", descending: "ascending" }[head.getAttribute("aria-sort")];
    const order = turned || head.dataset.first || "ascending";
    const number = (body) => (key in body.dataset ? Number(body.dataset[key]) : NaN);
    const sign = order === "ascending" ? 1 : -1;
    const sorted = [...bodies].sort((a, b) => {
      const [x, y] = [number(a), number(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return sign * (x - y);
    });
    for (const one of heads) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    for (const body of sorted) table.insertBefore(body, after);
  };
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head));
    head.append(button);
  }
  heads[0].setAttribute("aria-sort", "ascending");
}
