/* Write a Sluice job in C: typed rows in, contributions out.
 *
 * A guest is one function over the rows of one privacy unit (or a block of them):
 *
 *     #include "sluice.h"
 *
 *     void sluice_table(const sluice_room *room, sluice_output *out) {
 *         sluice_dimension(out, "plan", SLUICE_INT);
 *         sluice_measure(out, "visits");
 *         const sluice_rows *rows = sluice_input(room, NULL);
 *         sluice_column plan = sluice_find(rows, "plan", SLUICE_INT);
 *         sluice_column visits = sluice_find(rows, "mdvis", SLUICE_FLOAT);
 *         for (size_t row = 0; row < sluice_count(rows); row++) {
 *             int64_t key;
 *             double value;
 *             if (sluice_int(&plan, row, &key) && sluice_float(&visits, row, &value)) {
 *                 sluice_row(out);
 *                 sluice_key_int(out, "plan", key);
 *                 sluice_value(out, "visits", value);
 *             }
 *         }
 *     }
 *
 * There is no C library in the room, and no clock, randomness, file, network or
 * memory of the unit before. A mistake (a column that is not there, a key that is
 * not set) fails the unit; the host puts its declared default there.
 */
#ifndef SLUICE_H
#define SLUICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sluice_room sluice_room;
typedef struct sluice_rows sluice_rows;
typedef struct sluice_output sluice_output;

/* Types of columns. A date is days since 1970-01-01, a timestamp microseconds since
 * then, in UTC. A null column has no value at all, and so no reader: its rows count. */
typedef enum {
    SLUICE_INT,
    SLUICE_FLOAT,
    SLUICE_BOOL,
    SLUICE_TEXT,
    SLUICE_DATE,
    SLUICE_TIMESTAMP,
    SLUICE_DECIMAL,
    SLUICE_LIST_INT,
    SLUICE_LIST_FLOAT,
    SLUICE_LIST_TEXT,
    SLUICE_NULL
} sluice_type;

/* Bytes that are not terminated. Text is UTF-8. */
typedef struct {
    const char *bytes;
    size_t size;
} sluice_text;

/* Lists of one row. */
typedef struct {
    const int64_t *values;
    size_t count;
} sluice_ints;

typedef struct {
    const double *values;
    size_t count;
} sluice_floats;

typedef struct {
    const char *bytes;
    const int32_t *ends;
    size_t count;
} sluice_texts;

/* A column of one input. Rows may be read in any order; in their order is fastest. */
typedef struct {
    const sluice_rows *rows;
    size_t at;
    const void *batch;
    size_t first;
    int scale;
} sluice_column;

/* The author's function: the only one that a guest must have. */
void sluice_table(const sluice_room *room, sluice_output *out);

/* What a job may read. */

/* The rows of `[inputs.<name>]`; of the first input where `name` is NULL. */
const sluice_rows *sluice_input(const sluice_room *room, const char *name);
/* A value of the job file's `[params]`, or the host's own `table` and `round`.
 * Without it, a text whose `bytes` is NULL. */
sluice_text sluice_param(const sluice_room *room, const char *name);
/* What the outer room handed back after the round before; empty in round 0. */
sluice_text sluice_state(const sluice_room *room);

/* Rows. */

size_t sluice_count(const sluice_rows *rows);
/* The column `name`, which must be of type `type`. */
sluice_column sluice_find(const sluice_rows *rows, const char *name, sluice_type type);
/* Each writes the value of row number `row` and returns true; false is a missing value. */
bool sluice_int(sluice_column *column, size_t row, int64_t *value);
bool sluice_float(sluice_column *column, size_t row, double *value);
bool sluice_bool(sluice_column *column, size_t row, bool *value);
bool sluice_date(sluice_column *column, size_t row, int32_t *value);
bool sluice_string(sluice_column *column, size_t row, sluice_text *value);
bool sluice_timestamp(sluice_column *column, size_t row, int64_t *value);
/* A decimal, rounded to a double; and exactly, in units of its last digit. */
bool sluice_decimal(sluice_column *column, size_t row, double *value);
bool sluice_units(sluice_column *column, size_t row, __int128 *value);
bool sluice_list_int(sluice_column *column, size_t row, sluice_ints *value);
bool sluice_list_float(sluice_column *column, size_t row, sluice_floats *value);
bool sluice_list_text(sluice_column *column, size_t row, sluice_texts *value);
/* Text number `at` of a list; beyond it, the unit fails. */
sluice_text sluice_nth(sluice_texts list, size_t at);

/* The table. First its dimensions (SLUICE_INT or SLUICE_TEXT, in the contract's
 * order) and measures (in any order), then its rows. Measures start at 0. */

void sluice_dimension(sluice_output *out, const char *name, sluice_type type);
void sluice_measure(sluice_output *out, const char *name);
void sluice_row(sluice_output *out);
void sluice_key_int(sluice_output *out, const char *dimension, int64_t key);
void sluice_key_text(sluice_output *out, const char *dimension, sluice_text key);
void sluice_value(sluice_output *out, const char *measure, double value);

/* Helpers. */

/* Zeroed memory, which lasts as long as the instance: there is no free. */
void *sluice_alloc(size_t size);
bool sluice_is(sluice_text text, const char *word);
/* The unit has failed. Does not return. */
_Noreturn void sluice_fail(void);

#endif
