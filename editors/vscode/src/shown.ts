/** The suggestions that may be on the screen, and what a change of their document means for them. Pure. */

/** offset: of its first character that is not in the document yet.  nTaken: characters of `text` in front of it. */
export interface Shown {
  readonly id: string;
  readonly uri: string;
  readonly text: string;
  readonly offset: number;
  readonly nTaken: number;
}

/** A change as VS Code tells it; lengths and offsets count UTF-16 code units. */
export interface Change {
  readonly offset: number;
  readonly nReplaced: number;
  readonly text: string;
}

/**
 * typed: one key agreed with it.  accepted: a part of it came in at once, as "accept word" does; `shown` tells how much
 * is taken so far.  gone: the change does not agree, or the suggestion is used up.
 */
export type Outcome = { readonly kind: "typed" | "accepted"; readonly shown: Shown } | { readonly kind: "gone" };

const GONE: Outcome = { kind: "gone" };

/** Return what `changes` did to the suggestion. Line ends are compared as \n: that is how suggestions hold them. */
export function follow(shown: Shown, changes: readonly Change[]): Outcome {
  const [change] = changes;
  if (changes.length !== 1 || change === undefined) {
    return GONE;
  }
  const text = change.text.replaceAll("\r\n", "\n");
  const agrees = change.nReplaced === 0 && change.offset === shown.offset && text !== "";
  if (!agrees || !shown.text.startsWith(text, shown.nTaken)) {
    return GONE;
  }
  const next = { ...shown, offset: shown.offset + change.text.length, nTaken: shown.nTaken + text.length };
  const n = [...text.trim()].length; // Enter brings indentation with it, Tab is several spaces
  return { kind: n > 1 ? "accepted" : "typed", shown: next };
}

/** Return which of several suggestions may be the one on the screen still, and whether a part of it came in at once. */
export function followAll(
  shown: readonly Shown[],
  changes: readonly Change[],
): { readonly accepted: boolean; readonly shown: readonly Shown[] } {
  const going = shown.map((one) => follow(one, changes)).flatMap((outcome) => (outcome.kind === "gone" ? [] : [outcome]));
  return { accepted: going[0]?.kind === "accepted", shown: going.map((outcome) => outcome.shown) };
}
