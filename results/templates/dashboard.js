// Hide what the dashboard offers but cannot do here, because only the search writes to its study: creating,
// renaming and deleting studies, notes, and ending a running trial. Its server refuses these requests as well.
"use strict";

const FORBIDDEN_BUTTONS = ["Create", "Compare", "Fail Trial"];

const style = document.createElement("style");
style.textContent = `
  [aria-label="rename study"], [aria-label="delete study"], a[href$="/note"] { display: none !important; }
`;
document.head.append(style);

function hide(element) {
  element.style.setProperty("display", "none", "important");
}

function hideForbidden() {
  for (const button of document.querySelectorAll("button, a[role=button], a.MuiButton-root")) {
    if (FORBIDDEN_BUTTONS.includes(button.textContent.trim())) hide(button);
  }
  for (const heading of document.querySelectorAll("h5")) {
    if (heading.textContent.trim() === "Note") {
      hide(heading);
      if (heading.nextElementSibling) hide(heading.nextElementSibling);
    }
  }
}

new MutationObserver(hideForbidden).observe(document.documentElement, { childList: true, subtree: true });
