/** The text of a problem report: versions, settings and numbers; no code, no names of files or people. Pure. */

import type { Status, Trace } from "./protocol.ts";
import { statistics, type Counts } from "./numbers.ts";

export interface Facts {
  readonly extension: string;
  readonly editor: string;
  readonly system: string;
  readonly remote: string | undefined;
  readonly server: string;
  readonly state: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Return Markdown with a place for the user's own words in front. */
export function report(facts: Facts, status: Status | undefined, traces: readonly Trace[], counts: Counts): string {
  const settings = Object.entries(facts.settings).map(([name, value]) => `- ${name}: ${shown(name, value)}`);
  return [
    "<!-- What did you do, what did you expect, what happened instead? Nothing below is sent anywhere by itself. -->",
    "",
    `- extension ${facts.extension}, editor ${facts.editor}, ${facts.system}, ${facts.remote ?? "no remote"}`,
    `- server ${facts.server}, state ${facts.state}${status?.message ? `: ${withoutPaths(status.message)}` : ""}`,
    "",
    "Settings that differ from their defaults:",
    "",
    ...(settings.length > 0 ? settings : ["- none"]),
    "",
    ...(status === undefined ? [] : [statistics({ ...status, model: withoutPaths(status.model) }, traces, counts)]),
  ].join("\n");
}

function shown(name: string, value: unknown): string {
  if (name === "disabled_files" && Array.isArray(value)) {
    return `${value.length} patterns`; // they name files
  }
  return withoutPaths(JSON.stringify(value));
}

/** Replace what looks like a path, or like an address of a machine: they name people and projects. */
export function withoutPaths(text: string): string {
  return text.replace(/\w+:\/\/[^\s"']+/g, "<address>").replace(/(?:[A-Za-z]:)?(?:~|\.{1,2})?[\\/][^\s"':,]+/g, "<path>");
}
