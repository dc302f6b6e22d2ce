"use strict";

// The keys go to the terminal from the start, and another session is one key away.
window.addEventListener("load", () => {
  const again = document.getElementById("again");
  again.addEventListener("click", () => window.location.reload());
  new MutationObserver(() => {
    if (document.body.classList.contains("-closed")) again.focus();
    else if (document.body.classList.contains("-first-byte")) document.querySelector(".xterm-helper-textarea").focus();
  }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
});
