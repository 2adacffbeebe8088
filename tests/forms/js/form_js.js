// The table of tests/forms in JavaScript.
import { table } from "./sluice.js";

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
    out.push({ t, n, x: x ?? -0.5, flag: b === null ? 3 : b ? 1 : 2, days: d ?? 0 });
  }
  const more = room.inputs.get("zmore");
  if (more) out.push({ t: "多", n: more.length, x: 0, flag: 0, days: 0 });
  return out;
});
