// What has the focus may vanish: then its nearest surroundings that are left get it, so that Tab goes on from there and not from the top of the page.

let surroundings = [];

/** Keeps the focus within `root` for as long as the pages are open. */
export function keepFocus(root) {
  root.addEventListener("focusin", ({ target }) => {
    surroundings = [];
    for (let each = target; each && each !== root.parentElement; each = each.parentElement) surroundings.push(each);
  });
  new MutationObserver(() => {
    if (isLost()) requestAnimationFrame(() => isLost() && focusWhatIsLeft());
  }).observe(root, { childList: true, subtree: true });
}

/** Whoever took it away may have given it to something else. */
const isLost = () => document.activeElement === document.body && surroundings.length > 0 && !surroundings[0].isConnected;

function focusWhatIsLeft() {
  const place = surroundings.find((each) => each.isConnected);
  surroundings = [];
  if (!place) return;
  if (!place.hasAttribute("tabindex")) {
    place.tabIndex = -1;
    place.addEventListener("blur", () => place.removeAttribute("tabindex"), { once: true });
  }
  place.focus({ preventScroll: true });
}

/** Leads the keyboard to where something was said, unless somebody is typing elsewhere by then. */
export function focusUnlessTyping(element) {
  const { activeElement } = document;
  if (!activeElement.matches("input, select, textarea") || !activeElement.checkVisibility()) element.focus();
}

/** A function that says whether somebody has gone to a field since: what they type must not be led elsewhere. */
export function fieldEntered() {
  const before = document.activeElement;
  return () => document.activeElement !== before && document.activeElement.matches("input, select, textarea");
}
