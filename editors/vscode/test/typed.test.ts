import assert from "node:assert/strict";
import { test } from "node:test";

import { isBehind } from "../src/typed.ts";

const KEY = { version: 7, start: 10, end: 11 };

test("the cursor behind a letter belongs to it", () => {
  assert.ok(isBehind(KEY, 7, 11));
});

test("the cursor between two brackets belongs to the key that opened them", () => {
  assert.ok(isBehind({ version: 7, start: 10, end: 12 }, 7, 11));
});

test("the cursor where a letter was deleted belongs to the deletion", () => {
  assert.ok(isBehind({ version: 7, start: 10, end: 10 }, 7, 10));
});

test("a cursor that is told of late belongs to the key before", () => {
  assert.ok(!isBehind(KEY, 7, 10));
});

test("a cursor elsewhere was moved", () => {
  assert.ok(!isBehind(KEY, 7, 3));
  assert.ok(!isBehind({ version: 7, start: 10, end: 10 }, 7, 9));
});

test("a later version has later keys", () => {
  assert.ok(!isBehind(KEY, 8, 11));
});
