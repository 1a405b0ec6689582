import assert from "node:assert/strict";
import { test } from "node:test";

import { follow, followAll, type Change, type Shown } from "../src/shown.ts";

const SHOWN: Shown = { id: "7", uri: "file:///a.py", text: "left + right\nreturn", offset: 10, nTaken: 0 };

function insert(offset: number, text: string, nReplaced = 0): Change {
  return { offset, nReplaced, text };
}

test("a key that agrees is typed through", () => {
  const outcome = follow(SHOWN, [insert(10, "l")]);
  assert.deepEqual(outcome, { kind: "typed", shown: { ...SHOWN, offset: 11, nTaken: 1 } });
});

test("a word that comes in at once was accepted", () => {
  const outcome = follow(SHOWN, [insert(10, "left")]);
  assert.deepEqual(outcome, { kind: "accepted", shown: { ...SHOWN, offset: 14, nTaken: 4 } });
});

test("parts add up", () => {
  const first = follow(SHOWN, [insert(10, "left")]);
  assert.equal(first.kind, "accepted");
  const second = follow((first as { shown: Shown }).shown, [insert(14, " + right")]);
  assert.deepEqual(second, { kind: "accepted", shown: { ...SHOWN, offset: 22, nTaken: 12 } });
});

test("Enter with its indentation is one key", () => {
  const shown = { ...SHOWN, text: "\n    pass" };
  assert.equal(follow(shown, [insert(10, "\n    ")]).kind, "typed");
});

test("a line end of two units agrees with the suggestion's one", () => {
  const shown = { ...SHOWN, text: "a\nb" };
  const outcome = follow(shown, [insert(10, "a\r\nb")]);
  assert.deepEqual(outcome, { kind: "accepted", shown: { ...shown, offset: 14, nTaken: 3 } });
});

test("an emoji is one key", () => {
  assert.equal(follow({ ...SHOWN, text: "😀!" }, [insert(10, "😀")]).kind, "typed");
});

for (const [name, changes] of [
  ["another letter", [insert(10, "x")]],
  ["another place", [insert(9, "l")]],
  ["a replacement", [insert(10, "l", 1)]],
  ["a deletion", [insert(9, "", 1)]],
  ["more than the suggestion", [insert(10, "left + right\nreturn 1")]],
  ["two cursors", [insert(10, "l"), insert(40, "l")]],
] as const) {
  test(`${name} ends it`, () => {
    assert.equal(follow(SHOWN, changes).kind, "gone");
  });
}

test("of several suggestions those that agree go on", () => {
  const other = { ...SHOWN, id: "8", text: "right + left" };
  const third = { ...SHOWN, id: "9", text: "right" };
  const typed = followAll([SHOWN, other, third], [insert(10, "r")]);
  assert.equal(typed.accepted, false);
  assert.deepEqual(typed.shown.map((one) => one.id), ["8", "9"]);
  const word = followAll([SHOWN, other], [insert(10, "right")]);
  assert.deepEqual(word, { accepted: true, shown: [{ ...other, offset: 15, nTaken: 5 }] });
  assert.deepEqual(followAll([SHOWN, other], [insert(10, "x")]).shown, []);
});
