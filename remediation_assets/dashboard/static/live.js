// Fetches the page anew every five seconds and puts its live parts in place, leaving scroll, filters and focus alone.
"use strict";
(() => {
  const SECONDS = 5;
  const note = document.getElementById("unreachable");
  let seen = new Date();

  const isBusy = (part) => {
    const at = document.activeElement;
    if (part.contains(at) && at.matches("input, textarea, select")) return true;
    return [...part.querySelectorAll("input:not([type=hidden]), textarea")].some((field) => field.value !== field.defaultValue);
  };

  // What had the focus is found again by where it leads, for it is a new element.
  const place = (part, fresh) => {
    const at = part.contains(document.activeElement) ? document.activeElement : null;
    const href = at && at !== part ? at.getAttribute("href") : null;
    const { scrollLeft, scrollTop } = part;
    part.replaceChildren(...fresh.childNodes);
    part.scrollLeft = scrollLeft;
    part.scrollTop = scrollTop;
    if (href) {
      const again = [...part.querySelectorAll("a")].find((link) => link.getAttribute("href") === href);
      if (again) again.focus({ preventScroll: true });
    }
  };

  // Forms keep their token for as long as the page is open: a fresh one belongs to the same cookie.
  const refresh = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(window.location.href, { credentials: "same-origin", redirect: "manual" });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
        if (fresh && fresh.innerHTML !== part.innerHTML && !isBusy(part)) place(part, fresh);
      }
      seen = new Date();
      note.hidden = true;
    } catch {
      note.textContent = `The dashboard cannot be reached. What you see is of ${seen.toLocaleTimeString()}.`;
      note.hidden = false;
    }
  };

  if (note) {
    setInterval(refresh, SECONDS * 1000);
    document.addEventListener("visibilitychange", refresh);
  }
})();
