import assert from "node:assert/strict";
import { test } from "node:test";

import { percentile, statistics } from "../src/numbers.ts";
import type { Status } from "../src/protocol.ts";
import { report, withoutPaths, type Facts } from "../src/report.ts";
import { look } from "../src/status.ts";

const STATUS: Status = {
  kind: "ready",
  percent: null,
  state: "ready",
  message: "",
  model: "qwen2.5-coder-0.5b",
  engine: "phased",
  latency_p50_ms: 41.6,
  latency_p95_ms: 80.2,
  reason: "",
  snoozed_until: null,
};
const COUNTS = { shown: 5, accepted: 2, partly: 1, dismissed: 1 };
const TRACES = [
  { uri: "file:///home/ada/secret.py", answered_by: "typed-through", total_ms: 1, n_feed: 0 },
  { uri: "file:///home/ada/secret.py", answered_by: "extended", total_ms: 40, n_feed: 2 },
  { uri: "file:///home/ada/secret.py", answered_by: "extended", total_ms: 60, n_feed: 3 },
];
const FACTS: Facts = {
  extension: "0.1.0",
  editor: "Code 1.139",
  system: "linux",
  remote: undefined,
  server: "0.1.0",
  state: "ready",
  settings: { model: "/home/ada/models/own.gguf", budget_ms: 60, disabled_files: ["secret.sql"] },
};

test("percentiles are values that occurred", () => {
  assert.equal(percentile([3, 1, 2], 0.5), 2);
  assert.equal(percentile([3, 1, 2], 0.95), 3);
  assert.equal(percentile([], 0.5), NaN);
});

test("the status bar shows the latency on hover", () => {
  assert.match(look("ready", STATUS).tooltip, /p50 42 ms, p95 80 ms/);
});

test("the status bar shows no latency before there is one", () => {
  const status = { ...STATUS, latency_p50_ms: null, latency_p95_ms: null };
  assert.doesNotMatch(look("ready", status).tooltip, /p50/);
});

test("a file that a rule keeps quiet looks off, and the rule is named", () => {
  const { text, tooltip } = look("ready", { ...STATUS, reason: "off: file pattern '*.sql'" });
  assert.match(text, /circle-slash/);
  assert.match(tooltip, /off: file pattern '\\\*\\.sql'/);
});

test("an error is in the tooltip, harmless as Markdown", () => {
  const { severity, tooltip } = look("error", { ...STATUS, state: "error", message: "no [model](http://x) *here*" });
  assert.equal(severity, "error");
  assert.ok(tooltip.includes("\\[model\\]\\(http://x\\) \\*here\\*"));
});

test("statistics group the requests by what answered them", () => {
  const page = statistics(STATUS, TRACES, COUNTS);
  assert.ok(page.includes("| extended | 2 | 40.0 | 60.0 | 2 |"));
  assert.ok(page.includes("| typed-through | 1 | 1.0 | 1.0 | 0 |"));
});

test("a report holds no names of files or people", () => {
  const failed: Status = { ...STATUS, state: "error", message: "cannot read /home/ada/models/own.gguf: it is cut off" };
  const text = report(FACTS, failed, TRACES, COUNTS);
  assert.doesNotMatch(text, /ada|secret|own\.gguf/);
  assert.match(text, /budget_ms: 60/);
  assert.match(text, /it is cut off/);
});

test("paths and addresses are taken out, model ids stay", () => {
  assert.equal(withoutPaths("qwen2.5-coder-0.5b"), "qwen2.5-coder-0.5b");
  assert.equal(withoutPaths("C:\\Users\\ada\\m.gguf"), "<path>");
  assert.equal(withoutPaths("~/m.gguf"), "<path>");
  assert.equal(withoutPaths("at http://10.0.0.7:8080/v1 now"), "at <address> now");
});
