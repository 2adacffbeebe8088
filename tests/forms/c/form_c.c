/* The table of tests/forms in C. */
#include "sluice.h"

static bool same(sluice_text a, sluice_text b) {
    if (!a.bytes || a.size != b.size) return false;
    for (size_t i = 0; i < a.size; i++)
        if (a.bytes[i] != b.bytes[i]) return false;
    return true;
}

/* Rows that this module has seen: a fresh instance begins at none. */
static int64_t seen;

static int64_t deep(volatile int64_t *n) {
    volatile int64_t next = *n + 1;
    return *n < 0 ? 0 : 1 + deep(&next);
}

/* The words, each in brackets. */
static sluice_text joined(sluice_texts words) {
    size_t size = 0;
    for (size_t i = 0; i < words.count; i++) size += sluice_nth(words, i).size + 2;
    char *bytes = sluice_alloc(size), *to = bytes;
    for (size_t i = 0; i < words.count; i++) {
        sluice_text word = sluice_nth(words, i);
        *to++ = '[';
        for (size_t j = 0; j < word.size; j++) *to++ = word.bytes[j];
        *to++ = ']';
    }
    return (sluice_text){bytes, size};
}

static void wide(const sluice_rows *rows, sluice_output *out) {
    sluice_column c = sluice_find(rows, "c", SLUICE_DECIMAL), m = sluice_find(rows, "m", SLUICE_TIMESTAMP);
    sluice_column i = sluice_find(rows, "i", SLUICE_LIST_INT), f = sluice_find(rows, "f", SLUICE_LIST_FLOAT);
    sluice_column w = sluice_find(rows, "w", SLUICE_LIST_TEXT);
    sluice_find(rows, "z", SLUICE_NULL);
    for (size_t row = 0; row < sluice_count(rows); row++) {
        __int128 units;
        double number = -1, x = 0;
        int64_t moment = -1;
        sluice_ints ints;
        sluice_floats floats;
        sluice_texts words;
        if (!sluice_units(&c, row, &units)) units = -1;
        sluice_decimal(&c, row, &number);
        sluice_timestamp(&m, row, &moment);
        if (sluice_list_int(&i, row, &ints))
            for (size_t at = 0; at < ints.count; at++) x += 1000 * (double)ints.values[at];
        else x += 0.5;
        if (sluice_list_float(&f, row, &floats))
            for (size_t at = 0; at < floats.count; at++) x += floats.values[at];
        else x += 0.25;
        sluice_row(out);
        sluice_key_text(out, "t", sluice_list_text(&w, row, &words) ? joined(words) : (sluice_text){"无", 3});
        sluice_key_int(out, "n", (int64_t)units);
        sluice_value(out, "x", x);
        sluice_value(out, "flag", number);
        sluice_value(out, "days", (double)moment);
    }
    sluice_row(out);
    sluice_key_text(out, "t", (sluice_text){"空", 3});
    sluice_key_int(out, "n", (int64_t)sluice_count(rows));
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
        if (same(sluice_param(room, "deep"), word)) number = deep((volatile int64_t[]){1});
        if (same(sluice_param(room, "seen"), word)) number = ++seen;
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
    if (sluice_param(room, "input.wide").bytes) wide(sluice_input(room, "wide"), out);
}
