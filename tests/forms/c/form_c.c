/* The table of tests/forms in C. */
#include "sluice.h"

static bool same(sluice_text a, sluice_text b) {
    if (!a.bytes || a.size != b.size) return false;
    for (size_t i = 0; i < a.size; i++)
        if (a.bytes[i] != b.bytes[i]) return false;
    return true;
}

void sluice_table(const sluice_room *room, sluice_output *out) {
    sluice_dimension(out, "t", SLUICE_TEXT);
    sluice_dimension(out, "n", SLUICE_INT);
    sluice_measure(out, "x");
    sluice_measure(out, "flag");
    sluice_measure(out, "days");

    const sluice_rows *rows = sluice_input(room, "people");
    sluice_column t = sluice_find(rows, "t", SLUICE_TEXT), n = sluice_find(rows, "n", SLUICE_INT);
    sluice_column x = sluice_find(rows, "x", SLUICE_FLOAT), b = sluice_find(rows, "b", SLUICE_BOOL);
    sluice_column d = sluice_find(rows, "d", SLUICE_DATE);
    volatile int spinning = 1;
    for (size_t row = 0; row < sluice_count(rows); row++) {
        sluice_text word;
        int64_t number;
        if (!sluice_string(&t, row, &word) || !sluice_int(&n, row, &number)) continue;
        if (same(sluice_param(room, "fail"), word)) sluice_fail();
        if (same(sluice_param(room, "spin"), word))
            while (spinning) {}
        double amount = -0.5;
        int32_t days = 0;
        bool flag;
        sluice_float(&x, row, &amount);
        sluice_date(&d, row, &days);
        sluice_row(out);
        sluice_key_text(out, "t", word);
        sluice_key_int(out, "n", number);
        sluice_value(out, "x", amount);
        sluice_value(out, "flag", sluice_bool(&b, row, &flag) ? (flag ? 1 : 2) : 3);
        sluice_value(out, "days", days);
    }
    if (sluice_param(room, "input.zmore").bytes) {
        sluice_row(out);
        sluice_key_text(out, "t", (sluice_text){"多", 3});
        sluice_key_int(out, "n", (int64_t)sluice_count(sluice_input(room, "zmore")));
    }
}
