/* Route A: one person's years come in; one row goes out with what they spent on
 * outpatient care and on all care. The host divides the sums, not the people. */
#include "sluice.h"

void sluice_table(const sluice_room *room, sluice_output *out) {
    sluice_dimension(out, "coins", SLUICE_INT);
    sluice_measure(out, "outpatient");
    sluice_measure(out, "all");

    const sluice_rows *rows = sluice_input(room, "claims");
    sluice_column coins = sluice_find(rows, "coins", SLUICE_INT);
    sluice_column year = sluice_find(rows, "year", SLUICE_INT);
    sluice_column outpdol = sluice_find(rows, "outpdol", SLUICE_FLOAT);
    sluice_column meddol = sluice_find(rows, "meddol", SLUICE_FLOAT);

    /* A person belongs to the group of their first year that names one. */
    int64_t group = 0, first = INT64_MAX;
    double outpatient = 0, all = 0;
    for (size_t row = 0; row < sluice_count(rows); row++) {
        int64_t in, at;
        double one, other;
        if (sluice_int(&year, row, &at) && at < first && sluice_int(&coins, row, &in)) {
            first = at;
            group = in;
        }
        /* Only years with both amounts, or the ratio would compare different years. */
        if (sluice_float(&outpdol, row, &one) && sluice_float(&meddol, row, &other)) {
            outpatient += one;
            all += other;
        }
    }
    if (first != INT64_MAX) {
        sluice_row(out);
        sluice_key_int(out, "coins", group);
        sluice_value(out, "outpatient", outpatient);
        sluice_value(out, "all", all);
    }
}
