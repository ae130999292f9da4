// Passkeys: what the API sends and takes as JSON, the browser wants as bytes.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

function text(buffer) {
  const letters = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

const named = (list = []) => list.map((each) => ({ ...each, id: bytes(each.id) }));

/** Whether this browser knows passkeys. */
export const knowsPasskeys = () => typeof PublicKeyCredential === "function";

/** Has the browser make a passkey; throws a DOMException if its user does not want to. */
export async function makePasskey(options, signal) {
  const publicKey = { ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) }, excludeCredentials: named(options.excludeCredentials) };
  const { id, type, response, rawId } = await navigator.credentials.create({ publicKey, signal });
  const transports = response.getTransports?.() ?? [];
  return { id, type, rawId: text(rawId), response: { clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject), transports } };
}

/** Has a passkey sign the question of the API; throws a DOMException if its user does not want to. */
export async function askPasskey(options, signal) {
  const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: named(options.allowCredentials) };
  const { id, type, response, rawId } = await navigator.credentials.get({ publicKey, signal });
  const answer = { clientDataJSON: text(response.clientDataJSON), authenticatorData: text(response.authenticatorData), signature: text(response.signature) };
  return { id, type, rawId: text(rawId), response: { ...answer, userHandle: response.userHandle ? text(response.userHandle) : null } };
}

/** Whether somebody has closed the browser's window instead of answering. */
export const wasCancelled = (error) => error instanceof DOMException && ["NotAllowedError", "AbortError"].includes(error.name);
