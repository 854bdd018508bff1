// Looks for all words of the query in each section. A word in the title counts for more, a
// decision for less: who looks for a word wants to know how before why.
const base = document.currentScript.dataset.base;
const input = document.createElement("input");
input.type = "search";
input.placeholder = "Search";
input.setAttribute("aria-label", "Search all pages");
const list = document.createElement("ul");
list.className = "found";
list.setAttribute("aria-live", "polite");
document.querySelector("header .search").append(input, list);

function score(section, words) {
  const title = section.title.toLowerCase(), text = section.text.toLowerCase();
  let sum = 0;
  for (const word of words) {
    const there = (title.includes(word) ? 10 : 0) + Math.min(text.split(word).length - 1, 5);
    if (!there) return 0;
    sum += there;
  }
  return section.page.startsWith("adr/") ? sum / 4 : sum;
}

function excerpt(section, word) {
  const at = Math.max(0, section.text.toLowerCase().indexOf(word) - 40);
  return (at ? "…" : "") + section.text.slice(at, at + 120);
}

function show() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = !words.length ? [] : sections.map(s => [score(s, words), s]).filter(([n]) => n)
    .sort(([a], [b]) => b - a).slice(0, 10);
  list.replaceChildren(...found.map(([, s]) => {
    const item = document.createElement("li"), link = document.createElement("a"), small = document.createElement("small");
    link.href = base + s.page + (s.anchor && "#" + s.anchor);
    link.textContent = s.title;
    small.textContent = excerpt(s, words[0]);
    link.append(small);
    item.append(link);
    return item;
  }));
}

input.addEventListener("input", show);
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== input) { event.preventDefault(); input.focus(); }
  if (event.key === "Escape") { input.value = ""; show(); input.blur(); }
});
list.addEventListener("click", () => { input.value = ""; show(); });
