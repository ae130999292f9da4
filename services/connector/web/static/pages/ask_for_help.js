// What goes with a failed attempt that sellers cannot mend themselves.

import { h } from "../core/dom.js";
import { supportLine } from "../core/support.js";

const OURS = ["client_misconfigured", "role_missing", "interrupted"];

/** The code, and who is asked for help with it; nothing where the words say what helps. */
export function askForHelp(problem) {
  return OURS.includes(problem.code) && [h("p", { class: "code" }, problem.code), supportLine()];
}
