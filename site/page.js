// A block of code can be copied, where the browser lets pages do that: of a console what is
// typed, of all else everything.
for (const block of navigator.clipboard ? document.querySelectorAll(".code") : []) {
  const button = document.createElement("button"), code = block.querySelector("code");
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    const typed = [...code.querySelectorAll("b")].map(line => line.textContent).join("\n");
    await navigator.clipboard.writeText(typed || code.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  block.append(button);
}

// A long menu begins at its top; show where in it this page is.
document.querySelector(".menu [aria-current]")?.scrollIntoView({block: "nearest"});
