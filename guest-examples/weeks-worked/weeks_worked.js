// Route A: one person's rows come in, one row goes out for whoever is of working age.
import { table } from "./sluice.js";

export default table({ dimensions: { education: "text" }, measures: ["persons", "weeks"] }, (rows, room) => {
  const [youngest, oldest] = [Number(room.params.youngest), Number(room.params.oldest)];
  const out = [];
  for (const { age, education, weeks_worked } of rows) {
    if (age === null || education === null || weeks_worked === null) continue;
    if (age >= youngest && age <= oldest) out.push({ education, persons: 1, weeks: weeks_worked });
  }
  return out;
});
