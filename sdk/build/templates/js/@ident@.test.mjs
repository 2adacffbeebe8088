import assert from "node:assert/strict";
import test from "node:test";

import visits from "./@ident@.js";
import { room } from "./sluice.js";

test("visits add up under the first plan", () => {
  const claims = { plan: ["int", [3, 3]], mdvis: ["int", [2, null]] };
  assert.deepEqual(visits.map(room({ claims })), [{ plan: 3, persons: 1, visits: 2 }]);
});
