// People and doctor visits per plan: one row for each person who has a plan.

import { table } from "./sluice.js";

export default table({ dimensions: { plan: "int" }, measures: ["persons", "visits"] }, (rows) => {
  const plan = rows.column("plan").find((value) => value !== null);
  if (plan === undefined) return [];
  let visits = 0;
  for (const row of rows) visits += row.mdvis ?? 0;
  return [{ plan, persons: 1, visits }];
});
