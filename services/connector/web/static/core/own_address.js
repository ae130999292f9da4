// Where the sign-in page may lead on to. own_address.py decides the same, and one test holds both to one table.

// Written as our pages are, not as browsers forgive: they take a backslash for a slash, drop tabs and line breaks, and make "//host"
// of "/.//host", and that is another host.
const OWN = /^(?:\/|(?:\/[A-Za-z0-9_-]+)+\/?(?:\?[A-Za-z0-9_.~%&=+:,;@!$'()*/?-]*)?)$/;
const MOST = 2000;

/** The address, if it is one of our pages; else the start page. */
export function ownAddress(wanted) {
  return wanted && wanted.length <= MOST && OWN.test(wanted) ? wanted : "/";
}
