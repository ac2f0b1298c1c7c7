// Fetches the page every five seconds and replaces its live parts, without touching scroll, filters or focus.
"use strict";
(() => {
  const SECONDS = 5;
  const note = document.getElementById("unreachable");
  let seen = new Date();
  let asking = false;

  // Whether somebody is using a part: it has the focus, was typed into, or was opened.
  const isBusy = (part) => {
    const at = document.activeElement;
    if (at !== part && part.contains(at) && at.matches("input, textarea, select, button, summary")) return true;
    if (part.querySelector("details[open]")) return true;
    return [...part.querySelectorAll("input:not([type=hidden]), textarea")].some((field) => field.value !== field.defaultValue);
  };

  // The element with the focus is replaced by a new one, which is found by its href.
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

  const update = (part, fresh) => {
    if (fresh.innerHTML !== part.innerHTML && !isBusy(part)) place(part, fresh);
  };

  // Cards keep their places while somebody reads them: new ones come last, and a card in use is not removed.
  const updateCards = (part, fresh) => {
    const cards = (of) => new Map([...of.querySelectorAll(":scope > [data-key]")].map((card) => [card.dataset.key, card]));
    const have = cards(part);
    const want = cards(fresh);
    if (!have.size || !want.size) return update(part, fresh);
    const last = [...have.values()].at(-1);
    for (const [key, card] of have) {
      if (want.has(key)) update(card, want.get(key));
      else if (!isBusy(card) && !card.contains(document.activeElement)) card.remove();
    }
    const added = [...want].filter(([key]) => !have.has(key)).map(([, card]) => card);
    (last.isConnected ? last : part.firstElementChild || part).after(...added);
  };

  const refresh = async () => {
    if (document.hidden || asking) return;
    asking = true;
    try {
      const answer = await fetch(window.location.href, { credentials: "same-origin", redirect: "manual" });
      if (answer.type === "opaqueredirect") {
        note.textContent = "You are logged out. Load the page again to log in.";
        note.hidden = false;
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-live]")) {
        const fresh = page.querySelector(`[data-live="${part.dataset.live}"]`);
        if (fresh) updateCards(part, fresh);
      }
      seen = new Date();
      note.hidden = true;
    } catch {
      note.textContent = `The dashboard cannot be reached. This page was last updated at ${seen.toLocaleTimeString()}.`;
      note.hidden = false;
    } finally {
      asking = false;
    }
  };

  if (note) {
    setInterval(refresh, SECONDS * 1000);
    document.addEventListener("visibilitychange", refresh);
  }
})();
