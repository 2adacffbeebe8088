/* The ABI of sdk/wit beneath sluice.h: the canonical layout of its records, a bump
 * allocator, and the three calls that become one. An author has no need to read it. */
#include "sluice.h"

#define EXPORT(name) __attribute__((export_name(name)))
#define ROOM "sluice:job/inner-room@0.1.0#"
#define COLUMNS_MAX 256

/* The canonical layout of the WIT's types on wasm32. */
typedef struct { const uint8_t *data; uint32_t size; } list;
typedef struct { uint32_t present; list bytes; } optional;
typedef struct { uint32_t nulls; optional validity, offsets; list data; } column;
typedef struct { list name, value; } param;
typedef struct { uint32_t failed; uint32_t rows; const column *columns; uint32_t count; } answer;

typedef struct batch {
    uint32_t rows;
    const column *columns;
    struct batch *next;
} batch;

struct sluice_rows {
    list name, schema;
    size_t count;
    batch *first, *last;
    struct sluice_rows *next;
};

struct sluice_room {
    const param *params;
    uint32_t count;
    list state;
    struct sluice_rows *inputs;
};

typedef union { int64_t integer; double number; sluice_text text; } cell;

typedef struct line {
    struct line *next;
    bool *set;
    cell *cells;
} line;

struct sluice_output {
    const char *names[COLUMNS_MAX];
    sluice_type types[COLUMNS_MAX];
    size_t dimensions, columns, rows;
    line *first, *last;
};

static struct sluice_room the_room;

/* What a C compiler may call by itself. */

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    unsigned char *t = to;
    const unsigned char *f = from;
    while (size--) *t++ = *f++;
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    unsigned char *t = to;
    const unsigned char *f = from;
    if (t < f) return memcpy(to, from, size);
    while (size--) t[size] = f[size];
    return to;
}

void *memset(void *to, int byte, size_t size) {
    unsigned char *t = to;
    while (size--) *t++ = (unsigned char)byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *x = a, *y = b;
    for (; size; size--, x++, y++)
        if (*x != *y) return *x < *y ? -1 : 1;
    return 0;
}

size_t strlen(const char *text) {
    size_t size = 0;
    while (text[size]) size++;
    return size;
}

_Noreturn void sluice_fail(void) { __builtin_trap(); }

/* Memory: a pointer that only grows. Fresh pages are zero, and nothing is used twice. */

extern unsigned char __heap_base;

static void *take(size_t align, size_t size) {
    static uintptr_t next;
    if (!next) next = (uintptr_t)&__heap_base;
    uintptr_t at = (next + align - 1) & ~(uintptr_t)(align - 1);
    if (at < next || size > UINTPTR_MAX - at) sluice_fail();
    uintptr_t end = at + size, have = __builtin_wasm_memory_size(0) * 65536;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535) / 65536) == (size_t)-1) sluice_fail();
    next = end;
    return (void *)at;
}

void *sluice_alloc(size_t size) { return take(16, size); }

EXPORT("cabi_realloc")
void *sluice_realloc(void *old, size_t old_size, size_t align, size_t size) {
    /* The ABI aligns bytes to 1; here they are numbers of up to 16. A column lies on a
     * line of 64, as where the host copies it from: at unlike offsets that is slower. */
    size_t least = size < 4096 ? 16 : 64;
    void *made = take(align < least ? least : align, size);
    return old ? memcpy(made, old, old_size < size ? old_size : size) : made;
}

/* Texts. */

static bool same(list text, const char *word, size_t size) {
    return text.size == size && memcmp(text.data, word, size) == 0;
}

bool sluice_is(sluice_text text, const char *word) {
    return text.size == strlen(word) && memcmp(text.bytes, word, text.size) == 0;
}

static sluice_text text_of(list bytes) { return (sluice_text){(const char *)bytes.data, bytes.size}; }

/* What a job may read. */

const sluice_rows *sluice_input(const sluice_room *room, const char *name) {
    for (const sluice_rows *rows = room->inputs; rows; rows = rows->next)
        if (!name || same(rows->name, name, strlen(name))) return rows;
    sluice_fail();
}

sluice_text sluice_param(const sluice_room *room, const char *name) {
    for (uint32_t i = 0; i < room->count; i++)
        if (same(room->params[i].name, name, strlen(name))) return text_of(room->params[i].value);
    return (sluice_text){NULL, 0};
}

sluice_text sluice_state(const sluice_room *room) { return text_of(room->state); }

size_t sluice_count(const sluice_rows *rows) { return rows->count; }

sluice_column sluice_find(const sluice_rows *rows, const char *name, sluice_type type) {
    static const char *const types[] = {
        "int",      "float",    "bool",       "text",      "date", "timestamp",
        "decimal-", "list-int", "list-float", "list-text", "null",
    };
    size_t size = strlen(types[type]);
    list left = rows->schema;
    for (size_t at = 0; left.size; at++) {
        size_t end = 0, colon = 0;
        for (; end < left.size && left.data[end] != ','; end++)
            if (left.data[end] == ':') colon = end;
        list found = {left.data, colon}, kind = {left.data + colon + 1, end - colon - 1};
        int scale = 0;
        if (type == SLUICE_DECIMAL && kind.size > size) {
            /* decimal-P-S: what follows the last dash is S. */
            for (size_t i = size, after = 0; i < kind.size; i++)
                if (kind.data[i] == '-') after = 1;
                else if (after) scale = scale * 10 + (kind.data[i] - '0');
            kind.size = size;
        }
        if (same(found, name, strlen(name)) && same(kind, types[type], size))
            return (sluice_column){rows, at, rows->first, 0, scale};
        size_t past = end < left.size ? end + 1 : end;
        left = (list){left.data + past, left.size - past};
    }
    sluice_fail();
}

/* The batch with `*row`, which becomes the row's number within it; NULL where null. */
static const column *present(sluice_column *c, size_t *row) {
    if (*row < c->first) *c = (sluice_column){c->rows, c->at, c->rows->first, 0, c->scale};
    const batch *b = c->batch;
    for (; b && *row - c->first >= b->rows; b = b->next) c->first += b->rows;
    if (!b) sluice_fail();
    c->batch = b;
    *row -= c->first;
    const column *found = &b->columns[c->at];
    bool there = !(found->validity.present & 1) || found->validity.bytes.data[*row / 8] >> (*row % 8) & 1;
    return there ? found : NULL;
}

#define READ(name, type, expression)                               \
    bool name(sluice_column *c, size_t row, type *value) {         \
        const column *found = present(c, &row);                    \
        if (found) *value = (expression);                          \
        return found != NULL;                                      \
    }

READ(sluice_int, int64_t, ((const int64_t *)found->data.data)[row])
READ(sluice_float, double, ((const double *)found->data.data)[row])
READ(sluice_date, int32_t, ((const int32_t *)found->data.data)[row])
READ(sluice_bool, bool, found->data.data[row / 8] >> (row % 8) & 1)

READ(sluice_timestamp, int64_t, ((const int64_t *)found->data.data)[row])
READ(sluice_units, __int128, ((const __int128 *)found->data.data)[row])

bool sluice_decimal(sluice_column *c, size_t row, double *value) {
    __int128 units;
    if (!sluice_units(c, row, &units)) return false;
    /* By halves: there is no library for the conversion of 128 bits. */
    int64_t high = (int64_t)(units >> 64), low = (int64_t)units;
    bool small = high == low >> 63;
    double number = small ? (double)low : (double)high * 18446744073709551616.0 + (double)(uint64_t)low;
    double unit = 1;
    for (int i = 0; i < c->scale; i++) unit *= 10;
    *value = number / unit;
    return true;
}

/* The offsets, from number `first`. */
static const int32_t *ends_of(const column *found, size_t first) {
    return (const int32_t *)found->offsets.bytes.data + first;
}

sluice_text sluice_nth(sluice_texts list, size_t at) {
    if (at >= list.count) sluice_fail();
    return (sluice_text){list.bytes + list.ends[at], (size_t)(list.ends[at + 1] - list.ends[at])};
}

static size_t length_of(const column *found, size_t row) {
    return (size_t)(ends_of(found, row)[1] - ends_of(found, row)[0]);
}

static sluice_text text_at(const column *found, size_t row) {
    return (sluice_text){(const char *)found->data.data + *ends_of(found, row), length_of(found, row)};
}

/* The offsets of the texts follow those of the batch's rows. */
static sluice_texts texts_at(const column *found, size_t row, const batch *in) {
    const int32_t *ends = ends_of(found, in->rows + 1) + *ends_of(found, row);
    return (sluice_texts){(const char *)found->data.data, ends, length_of(found, row)};
}

READ(sluice_string, sluice_text, text_at(found, row))
READ(sluice_list_text, sluice_texts, texts_at(found, row, c->batch))
READ(sluice_list_int, sluice_ints,
     ((sluice_ints){(const int64_t *)found->data.data + *ends_of(found, row), length_of(found, row)}))
READ(sluice_list_float, sluice_floats,
     ((sluice_floats){(const double *)found->data.data + *ends_of(found, row), length_of(found, row)}))

/* The table. */

static void declare(sluice_output *out, const char *name, sluice_type type) {
    if (out->rows || out->columns == COLUMNS_MAX) sluice_fail();
    out->names[out->columns] = name;
    out->types[out->columns++] = type;
}

void sluice_dimension(sluice_output *out, const char *name, sluice_type type) {
    if (out->columns != out->dimensions || (type != SLUICE_INT && type != SLUICE_TEXT)) sluice_fail();
    declare(out, name, type);
    out->dimensions++;
}

void sluice_measure(sluice_output *out, const char *name) { declare(out, name, SLUICE_FLOAT); }

void sluice_row(sluice_output *out) {
    line *made = sluice_alloc(sizeof *made);
    *made = (line){NULL, sluice_alloc(out->columns), sluice_alloc(out->columns * sizeof(cell))};
    for (size_t i = out->dimensions; i < out->columns; i++) made->set[i] = true;
    *(out->last ? &out->last->next : &out->first) = made;
    out->last = made;
    out->rows++;
}

static cell *put(sluice_output *out, const char *name, sluice_type type) {
    size_t size = strlen(name);
    for (size_t i = 0; out->last && i < out->columns; i++)
        if (strlen(out->names[i]) == size && memcmp(out->names[i], name, size) == 0 && out->types[i] == type) {
            out->last->set[i] = true;
            return &out->last->cells[i];
        }
    sluice_fail();
}

void sluice_key_int(sluice_output *out, const char *name, int64_t key) { put(out, name, SLUICE_INT)->integer = key; }
void sluice_key_text(sluice_output *out, const char *name, sluice_text key) { put(out, name, SLUICE_TEXT)->text = key; }
void sluice_value(sluice_output *out, const char *name, double value) { put(out, name, SLUICE_FLOAT)->number = value; }

static column plain(const sluice_output *out, size_t at) {
    int64_t *data = sluice_alloc(out->rows * 8), *to = data;
    for (const line *l = out->first; l; l = l->next) *to++ = l->cells[at].integer;
    return (column){.data = {(const uint8_t *)data, out->rows * 8}};
}

static column words(const sluice_output *out, size_t at) {
    int32_t *ends = sluice_alloc((out->rows + 1) * 4);
    size_t size = 0, row = 0;
    for (const line *l = out->first; l; l = l->next) ends[++row] = (int32_t)(size += l->cells[at].text.size);
    uint8_t *data = sluice_alloc(size), *to = data;
    for (const line *l = out->first; l; l = l->next) {
        memcpy(to, l->cells[at].text.bytes, l->cells[at].text.size);
        to += l->cells[at].text.size;
    }
    return (column){.offsets = {1, {(const uint8_t *)ends, (out->rows + 1) * 4}}, .data = {data, size}};
}

static bool before(const char *a, const char *b) {
    for (; *a && *a == *b; a++, b++) {}
    return (unsigned char)*a < (unsigned char)*b;
}

/* The three calls. */

static const answer ok = {0};

EXPORT(ROOM "start")
const answer *sluice_start(const param *params, uint32_t count, const uint8_t *state, uint32_t size) {
    the_room = (struct sluice_room){params, count, {state, size}, NULL};
    struct sluice_rows **end = &the_room.inputs;
    for (uint32_t i = 0; i < count; i++) {
        list name = params[i].name;
        if (name.size <= 6 || memcmp(name.data, "input.", 6) != 0) continue;
        *end = sluice_alloc(sizeof **end);
        **end = (struct sluice_rows){.name = {name.data + 6, name.size - 6}, .schema = params[i].value};
        end = &(*end)->next;
    }
    return &ok;
}

EXPORT(ROOM "process")
const answer *sluice_process(uint32_t input, uint32_t rows, const column *columns, uint32_t count) {
    (void)count; /* the host sends what it has announced */
    struct sluice_rows *into = the_room.inputs;
    while (into && input--) into = into->next;
    if (!into) sluice_fail();
    batch *made = sluice_alloc(sizeof *made);
    *made = (batch){rows, columns, NULL};
    *(into->last ? &into->last->next : &into->first) = made;
    into->last = made;
    into->count += rows;
    return &ok;
}

EXPORT(ROOM "finish")
const answer *sluice_finish(void) {
    sluice_output *out = sluice_alloc(sizeof *out);
    sluice_table(&the_room, out);
    for (const line *l = out->first; l; l = l->next)
        for (size_t i = 0; i < out->columns; i++)
            if (!l->set[i]) sluice_fail();
    column *columns = sluice_alloc(out->columns * sizeof *columns);
    for (size_t i = 0; i < out->columns; i++) {
        /* Dimensions keep their order; measures come in that of their names. */
        size_t to = i;
        if (i >= out->dimensions) {
            to = out->dimensions;
            for (size_t j = out->dimensions; j < out->columns; j++) to += before(out->names[j], out->names[i]);
        }
        columns[to] = out->types[i] == SLUICE_TEXT ? words(out, i) : plain(out, i);
    }
    answer *made = sluice_alloc(sizeof *made);
    *made = (answer){0, (uint32_t)out->rows, columns, (uint32_t)out->columns};
    return made;
}
