import assert from "node:assert/strict";
import { test } from "node:test";

import type { Status } from "../src/protocol.ts";
import { look } from "../src/status.ts";

const READY: Status = {
  kind: "ready",
  state: "ready",
  message: "",
  percent: null,
  model: "a-model",
  engine: "onnx",
  latency_p50_ms: 20,
  latency_p95_ms: 70,
  reason: "",
  snoozed_until: null,
};

test("progress is in the status bar", () => {
  const found = look("downloading", { ...READY, kind: "loading", state: "downloading", percent: 41 });
  assert.equal(found.text, "$(cloud-download) Completer 41%");
});

test("a rule is named and is no warning", () => {
  const found = look("ready", { ...READY, kind: "quiet", reason: "off: on request only" });
  assert.equal(found.text, "$(circle-slash) Completer");
  assert.equal(found.severity, "none");
  assert.match(found.tooltip, /off: on request only/);
});

test("what makes answers slow is a warning with its reason", () => {
  const found = look("ready", { ...READY, kind: "slow", message: "the budget is missed" });
  assert.equal(found.text, "$(dashboard) Completer");
  assert.equal(found.severity, "warning");
  assert.match(found.tooltip, /Slow[^]*the budget is missed[^]*p95 70 ms/);
});

test("without a status the state is told", () => {
  assert.equal(look("starting", undefined).text, "$(loading~spin) Completer");
  assert.equal(look("missing", undefined).severity, "warning");
});
