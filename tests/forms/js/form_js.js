// The table of tests/forms in JavaScript.
import { table } from "./sluice.js";

// Rows that this module has seen: a fresh instance begins at none.
let seen = 0;

const deep = (n) => 1 + deep(n + 1);

export default table({ dimensions: { t: "text", n: "int" }, measures: ["x", "flag", "days"] }, (rows, room) => {
  const out = [];
  const exact = rows.bigints("n");
  let at = 0;
  for (const t of rows.column("t")) {
    const row = at++;
    const [n, x, b, d] = [exact[row], rows.column("x")[row], rows.column("b")[row], rows.column("d")[row]];
    if (t === null || n === null) continue;
    if (t === room.params.fail) throw new Error("told to fail");
    while (t === room.params.spin);
    if (t === room.params.deep) deep(0);
    const key = t === room.params.beyond ? n + (1n << 64n) : t === room.params.seen ? ++seen : n;
    out.push({ t, n: key, x: x ?? -0.5, flag: b === null ? 3 : b ? 1 : 2, days: d ?? 0 });
  }
  const more = room.inputs.get("wide");
  return more ? [...out, ...wide(more)] : out;
});

function* wide(rows) {
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const units = rows.bigints("c");
  let at = 0;
  for (const { c, m, i, f, w } of rows) {
    const t = w === null ? "无" : w.map((word) => `[${word}]`).join("");
    const x = (i === null ? 0.5 : 1000 * sum(i)) + (f === null ? 0.25 : sum(f));
    yield { t, n: units[at++] ?? -1, x, flag: c ?? -1, days: m ?? -1 };
  }
  yield { t: "空", n: rows.column("z").filter((z) => z === null).length, x: 0, flag: 0, days: 0 };
}
