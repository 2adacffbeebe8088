/* People and doctor visits per plan: one row for each person who has a plan. */
#include "sluice.h"

void sluice_table(const sluice_room *room, sluice_output *out) {
    sluice_dimension(out, "plan", SLUICE_INT);
    sluice_measure(out, "persons");
    sluice_measure(out, "visits");

    const sluice_rows *rows = sluice_input(room, NULL);
    sluice_column plan = sluice_find(rows, "plan", SLUICE_INT);
    sluice_column mdvis = sluice_find(rows, "mdvis", SLUICE_INT);
    int64_t first = 0, visits = 0, value;
    bool found = false;
    for (size_t row = 0; row < sluice_count(rows); row++) {
        if (!found) found = sluice_int(&plan, row, &first);
        if (sluice_int(&mdvis, row, &value)) visits += value;
    }
    if (found) {
        sluice_row(out);
        sluice_key_int(out, "plan", first);
        sluice_value(out, "persons", 1);
        sluice_value(out, "visits", (double)visits);
    }
}
