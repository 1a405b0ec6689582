/** Whether a cursor stands behind the key that was typed last. Pure. */

/** A change of text that may be a key, at one version of its document. Offsets count UTF-16 code units. */
export interface Typed {
  readonly version: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Return whether `cursor` is where the key left it: at the end of the change, or inside it where a bracket was closed with it.
 * False for a cursor that is told of only when the next key has changed the text already.
 */
export function isBehind(typed: Typed, version: number, cursor: number): boolean {
  const { start, end } = typed;
  return version === typed.version && (cursor === end || (start < cursor && cursor < end));
}
