// A click is lost if what is pressed is drawn anew or moved before it is let go. So what the server answers waits for that moment.

// Whatever else takes the mouse, such as a field, does so when it is pressed.
const CLICKED = "a, button, summary, label, input[type=checkbox], input[type=radio], [role=option]";
const SPACED = "button, summary, input[type=checkbox], input[type=radio]";
// Whoever holds something down for longer waits for no click: letting go outside of the window tells nobody.
const LONGEST_PRESS_MS = 5000;
// A finger's click comes a moment after it was lifted.
const CLICK_WITHIN_MS = 100;

let pressed = null;
let letGo = () => {};
let timer = null;

function press() {
  pressed ??= new Promise((resolve) => (letGo = resolve));
  endAfter(LONGEST_PRESS_MS);
}

function endAfter(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    pressed = null;
    letGo();
  }, milliseconds);
}

const on = (kind, listener) => addEventListener(kind, listener, { capture: true, passive: true });
const end = (milliseconds) => () => pressed && endAfter(milliseconds);

on("pointerdown", ({ button, target }) => button === 0 && target.closest?.(CLICKED) && press());
on("keydown", ({ key, target }) => key === " " && target.matches?.(SPACED) && press());
on("pointerup", end(CLICK_WITHIN_MS));
on("keyup", end(0));
for (const kind of ["click", "pointercancel"]) on(kind, end(0));

/** Resolves when nothing is being pressed. */
export async function released() {
  while (pressed) await pressed;
}
