"use strict";

// Sorting: the titles become buttons; the first click sorts down what is a number, up what is text.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const titles = [...table.tHead.rows[0].cells];
  titles.forEach((title, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...title.childNodes);
    title.append(button);
    button.addEventListener("click", () => {
      const rows = [...body.rows];
      const keys = new Map(rows.map((row) => [row, row.cells[column].dataset.key]));
      const present = [...keys.values()].filter((key) => key !== "");
      const numbers = present.every((key) => !Number.isNaN(Number(key)));
      const before = title.getAttribute("aria-sort");
      const down = before ? before === "ascending" : numbers;
      rows.sort((one, other) => {
        const [a, b] = [keys.get(one), keys.get(other)];
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = numbers ? Number(a) - Number(b) : a.localeCompare(b);
        return down ? -order : order;
      });
      for (const other of titles) other.removeAttribute("aria-sort");
      title.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}

// Pictures become buttons that open them large.
const dialog = document.getElementById("zoom");
const large = dialog.querySelector("img");
const told = dialog.querySelector("p");
for (const picture of document.querySelectorAll("img.zoomable")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "zoom";
  picture.replaceWith(button);
  button.append(picture);
  button.addEventListener("click", () => {
    large.src = picture.src;
    large.alt = picture.alt;
    told.textContent = picture.alt;
    dialog.showModal();
  });
}
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});

// On paper nothing can be opened.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const part of closed) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of closed) part.open = false;
});

// The section that is read is marked in the contents.
const links = new Map(
  [...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]),
);
const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  },
  { rootMargin: "-20% 0px -70% 0px" },
);
for (const id of links.keys()) seen.observe(document.getElementById(id));
