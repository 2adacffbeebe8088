import assert from "node:assert/strict";
import test from "node:test";

import { room } from "./sluice.js";
import weeks from "./weeks_worked.js";

const answer = (age, weeks_worked) =>
  weeks.map(
    room(
      { persons: { age: ["int", [age]], education: ["text", ["Children"]], weeks_worked: ["int", [weeks_worked]] } },
      { youngest: "25", oldest: "64" },
    ),
  );

test("whoever is of working age counts once, with their weeks", () => {
  assert.deepEqual(answer(25, 52), [{ education: "Children", persons: 1, weeks: 52 }]);
  assert.deepEqual(answer(64, 0), [{ education: "Children", persons: 1, weeks: 0 }]);
});

test("the young, the old and the unknown do not", () => {
  assert.deepEqual([answer(24, 52), answer(65, 52), answer(null, 52), answer(30, null)], [[], [], [], []]);
});
