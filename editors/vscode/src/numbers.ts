/** Percentiles, and the page of statistics. Pure. */

import type { Status, Trace } from "./protocol.ts";

/** What was suggested and what was done with it, since the server started. */
export interface Counts {
  shown: number;
  accepted: number;
  partly: number;
  dismissed: number;
}

/** Return the value below which `share` of the values lie, NaN without any. The nearest rank, no interpolation. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

/** Return a page of Markdown. It holds numbers and names, no text of documents and no file names. */
export function statistics(status: Status, traces: readonly Trace[], counts: Counts): string {
  return [
    "# Completer",
    `${status.state}: ${status.model} on ${status.engine}`,
    table(
      ["", "since the server started"],
      [
        ["suggestions given to the editor", String(counts.shown)],
        ["accepted", String(counts.accepted)],
        ["accepted in part", String(counts.partly)],
        ["dismissed", String(counts.dismissed)],
      ],
    ),
    `## The last ${traces.length} requests`,
    table(["answered by", "requests", "p50", "p95", "tokens fed, p50"], byAnswer(traces)),
    "Times from request to answer inside the server, in milliseconds. " +
      "*typed-through*: the keys agree with a suggestion. *extended*: a few tokens were read. *cold*: the place was new.",
  ].join("\n\n");
}

function byAnswer(traces: readonly Trace[]): string[][] {
  const groups = Map.groupBy(traces, (trace) => String(trace["answered_by"]));
  return [...groups.entries()].sort().map(([name, group]) => {
    const times = group.map((trace) => Number(trace["total_ms"]));
    const fed = group.map((trace) => Number(trace["n_feed"]));
    const [p50, p95] = [percentile(times, 0.5), percentile(times, 0.95)];
    return [name, String(group.length), p50.toFixed(1), p95.toFixed(1), percentile(fed, 0.5).toFixed(0)];
  });
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? "---" : "--:"))), ...rows.map(line)].join("\n");
}
