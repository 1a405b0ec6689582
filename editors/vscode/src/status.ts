/** What the status bar says. Pure. */

import type { Status } from "./protocol.ts";

/** `off` and `missing` are known to the extension alone; the others are the server's. */
export type State = Status["state"] | "missing" | "starting";

export interface Look {
  readonly text: string;
  readonly severity: "none" | "warning" | "error";
  readonly tooltip: string;
}

const ICONS: Readonly<Record<State, string>> = {
  downloading: "$(cloud-download)",
  loading: "$(loading~spin)",
  starting: "$(loading~spin)",
  ready: "$(check)",
  error: "$(error)",
  off: "$(circle-slash)",
  missing: "$(warning)",
};

const SLOW_ICON = "$(dashboard)";

const SENTENCES: Readonly<Record<State, string>> = {
  downloading: "The model is being downloaded.",
  loading: "The model is being loaded.",
  starting: "The server is starting.",
  ready: "Ready.",
  error: "Something went wrong.",
  off: "Off.",
  missing: "No server is installed. Click to choose one.",
};

/** Return text and tooltip (Markdown). A rule that keeps the active document quiet is named, and what makes answers slow. */
export function look(state: State, status: Status | undefined): Look {
  const reason = (state === "ready" && status?.reason) || "";
  const off = reason !== "";
  const slow = state === "ready" && status?.kind === "slow";
  const lines = [`**Completer**: ${off ? escape(reason) : slow ? "Slow." : SENTENCES[state]}`];
  if (status?.message) {
    lines.push(escape(status.message));
  }
  if (status !== undefined && state === "ready") {
    lines.push(`Model: ${escape(status.model)} on ${escape(status.engine)}`);
    if (status.latency_p50_ms !== null && status.latency_p95_ms !== null) {
      lines.push(`Answers: p50 ${status.latency_p50_ms.toFixed(0)} ms, p95 ${status.latency_p95_ms.toFixed(0)} ms`);
    }
  }
  const severity = state === "error" ? "error" : state === "missing" || slow ? "warning" : "none";
  const percent = status?.percent == null ? "" : ` ${status.percent}%`;
  const icon = slow ? SLOW_ICON : ICONS[off ? "off" : state];
  return { text: `${icon} Completer${percent}`, severity, tooltip: lines.join("\n\n") };
}

function escape(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+\-.!|<>$]/g, "\\$&");
}
