/** The messages of docs/reference/protocol.md that the standard does not know. Positions are in UTF-16 code units. */

import type { Position, Range } from "vscode-languageclient/node";

export const DID_MOVE_CURSOR = "completer/didMoveCursor";
export const DID_SHOW = "completer/didShow";
export const DID_ACCEPT = "completer/didAccept";
export const DID_DISMISS = "completer/didDismiss";
export const DID_EXTEND_SUGGESTION = "completer/didExtendSuggestion";
/** Copilot's name for it, which the server knows from every client. */
export const DID_FOCUS = "textDocument/didFocus";
export const DID_CHANGE_STATUS = "completer/didChangeStatus";
/** What a client that wants `completer/didChangeStatus` sets in `capabilities.experimental`. */
export const STATUS_CAPABILITY = "completerStatus";
export const STATUS = "completer/status";
export const METRICS = "completer/metrics";
export const MODELS = "completer/models";
export const EXPLAIN = "completer/explain";
export const SNOOZE = "completer/snooze";
export const SET_ENABLED = "completer/setEnabled";
export const DID_ACCEPT_COMMAND = "completer.didAccept";

export interface ExtendedSuggestion {
  readonly uri: string;
  readonly version: number;
  readonly position: Position;
  readonly text: string;
  readonly range: Range;
  readonly id: string;
  readonly complete: boolean;
}

export interface Status {
  /** What matters most to the user: the server is loading, ready, quiet by a rule, slower than it should be, or failed. */
  readonly kind: "loading" | "ready" | "quiet" | "slow" | "error";
  readonly state: "downloading" | "loading" | "ready" | "error" | "off";
  readonly message: string;
  /** How much of the present step of loading is done. */
  readonly percent: number | null;
  readonly model: string;
  readonly engine: string;
  readonly latency_p50_ms: number | null;
  readonly latency_p95_ms: number | null;
  /** Why nothing is suggested while typing in the document that is meant; "" where suggestions are on. */
  readonly reason: string;
  /** When a snooze ends, in ISO 8601. */
  readonly snoozed_until: string | null;
}

/** The reason of a document that `completer/setEnabled` switched off. */
export const FILE_OFF = "off: switched off for this file";

/** One request as `completer/metrics` tells it: numbers and names, no text. */
export type Trace = Readonly<Record<string, unknown>>;

export interface Model {
  readonly id: string;
  readonly title: string;
  readonly device: "cpu" | "gpu";
  readonly licence: string;
  readonly parameters: number;
  readonly pulled: boolean;
}
