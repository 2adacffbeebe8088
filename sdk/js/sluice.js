// Write a Sluice job in JavaScript: typed rows in, contributions out.
//
// A guest is one function over the rows of one privacy unit (or a block of them):
//
//     import { table } from "./sluice.js";
//
//     export default table({ dimensions: { plan: "int" }, measures: ["visits"] }, (rows) =>
//       [...rows].filter((row) => row.mdvis !== null).map((row) => ({ plan: row.plan, visits: row.mdvis })));
//
// The same module runs in Node, so its logic has plain unit tests:
// `visits.map(room({ claims: { plan: ["int", [1]], mdvis: ["float", [2]] } }))`.
//
// In the room there is no clock, no randomness, no file, no network and no memory of
// the unit before. An exception fails the unit: the host puts its declared default
// there and shows the text to nobody.

/// Declares a table. `dimensions` maps each name to "int" or "text", in the contract's
/// order; `measures` are names. `map(rows, room)` gets the first input and the whole
/// room, and returns an object per output row with one value for each name.
/// A guest with several tables exports an object of them, by the contract's names.
export function table({ dimensions = {}, measures }, map) {
  for (const [name, kind] of Object.entries(dimensions)) {
    if (kind !== "int" && kind !== "text") throw new TypeError(`dimension \`${name}\` is "int" or "text"`);
  }
  return { dimensions, measures: [...measures].sort(byCodePoint), map: (room) => [...(map(room.rows, room) ?? [])] };
}

/// A room made by hand, for unit tests: each input maps a column's name to
/// [type, values], with null for a missing value.
export function room(inputs, params = {}, state = new Uint8Array()) {
  const made = new Room(params, state);
  for (const [name, columns] of Object.entries(inputs)) {
    const rows = new Rows(Object.entries(columns).map(([column, [kind]]) => [column, kind]));
    for (const [column, [, values]] of Object.entries(columns)) rows.keep(column, values);
    made.inputs.set(name, rows);
  }
  return made;
}

/// Everything a job may read.
export class Room {
  constructor(params, state) {
    /// The job file's [params], and the host's own `table` and `round`.
    this.params = params;
    /// What the outer room handed back after the round before; empty in round 0.
    this.state = state;
    /// The rows of each [inputs.<name>], by name.
    this.inputs = new Map();
  }

  /// The rows of the job's only (or first) input.
  get rows() {
    for (const rows of this.inputs.values()) return rows;
    throw new Error("the job has no input");
  }

  /// The number of the round, from 0.
  get round() {
    return Number(this.params.round ?? 0);
  }
}

/// The rows of one input: iterate over them as objects, or take a column as an array
/// with `rows.column("year")`. A missing value is null. An int is a number, and an
/// error beyond 2^53: `rows.bigints("id")` reads those. A date is days since 1970-01-01,
/// a timestamp microseconds since then, in UTC. A decimal is a number, rounded to one;
/// `bigints` gives it exactly, in units of its last digit. A list is an array.
export class Rows {
  #schema;
  #batches = [];
  #values = new Map();
  length = 0;

  constructor(schema) {
    this.#schema = schema;
  }

  *[Symbol.iterator]() {
    const names = this.#schema.map(([name]) => name);
    const columns = names.map((name) => this.column(name));
    for (let row = 0; row < this.length; row++) {
      const made = {};
      for (let at = 0; at < names.length; at++) made[names[at]] = columns[at][row];
      yield made;
    }
  }

  /// The values of column `name`.
  column(name) {
    if (!this.#values.has(name)) {
      const at = this.#at(name);
      this.#values.set(name, this.#read(at, reader(...this.#schema[at])));
    }
    return this.#values.get(name);
  }

  /// The values of the int, timestamp, decimal or list-int column `name` as BigInts.
  bigints(name) {
    const at = this.#at(name);
    const read = EXACT[this.#schema[at][1].replace(/^decimal-.*/, "decimal")];
    if (!read) throw new TypeError(`column \`${name}\` has no whole numbers`);
    return this.#read(at, read);
  }

  /// Takes a batch of the ABI.
  push(batch) {
    if (batch.columns.length !== this.#schema.length) throw new Error("a batch does not fit its schema");
    this.#batches.push(batch);
    this.length += batch.rows;
  }

  /// Takes a column made by hand.
  keep(name, values) {
    if (this.#values.size > 0 && values.length !== this.length) throw new Error("the columns differ in length");
    this.#values.set(name, values);
    this.length = values.length;
  }

  // Batch by batch: a list's values must stay lists, which one flatMap leaves them.
  #read(at, read) {
    const values = (batch) => masked(read, batch.columns[at], batch.rows);
    return this.#batches.length === 1 ? values(this.#batches[0]) : this.#batches.flatMap(values);
  }

  #at(name) {
    const at = this.#schema.findIndex(([known]) => known === name);
    if (at < 0) throw new Error(`there is no column \`${name}\``);
    return at;
  }
}

// How each type of the ABI is read: (column, rows) -> values, without regard to nulls.
// wasm is little-endian, as the ABI is, and the bytes are copied to their alignment.
// The engine interprets, and each step is paid from the unit's fuel: so plain loops
// here, and what the engine does natively wherever there is such a thing.
const READ = {
  int: safes,
  float: (column, rows) => plainly(new Float64Array(aligned(column.data), 0, rows)),
  date: (column, rows) => plainly(new Int32Array(aligned(column.data), 0, rows)),
  bool: (column, rows) => bits(column.data, rows),
  text: (column, rows) => texts(column, rows, 0),
  timestamp: safes,
  null: (column, rows) => new Array(rows).fill(null),
  "list-int": lists(safes),
  "list-float": lists((column, count) => READ.float(column, count)),
  "list-text": lists(texts),
};

// The same, as BigInts.
const EXACT = { int: longs, timestamp: longs, decimal: wides, "list-int": lists(longs) };

function reader(name, kind) {
  const scale = /^decimal-\d+-(\d+)$/.exec(kind)?.[1];
  if (scale) return (column, rows) => wides(column, rows).map((units) => Number(units) / 10 ** Number(scale));
  if (!READ[kind]) throw new TypeError(`column \`${name}\` is of type \`${kind}\`, which this SDK does not read`);
  return READ[kind];
}

function plainly(typed) {
  const values = new Array(typed.length);
  for (let at = 0; at < values.length; at++) values[at] = typed[at];
  return values;
}

function longs(column, rows) {
  return plainly(new BigInt64Array(aligned(column.data), 0, rows));
}

// Whole numbers out of their halves, without a BigInt for each.
function safes(column, rows) {
  const halves = new Int32Array(aligned(column.data), 0, 2 * rows);
  const values = new Array(rows);
  for (let row = 0; row < rows; row++) {
    const high = halves[2 * row + 1];
    const value = high * 4294967296 + (halves[2 * row] >>> 0);
    if (value > 9007199254740991 || value < -9007199254740991) {
      throw new RangeError("an int is beyond 2^53: read the column with bigints()");
    }
    values[row] = value;
  }
  return values;
}

function wides(column, rows) {
  const [low, high] = [new BigUint64Array(aligned(column.data)), new BigInt64Array(aligned(column.data))];
  return Array.from({ length: rows }, (_, row) => (high[2 * row + 1] << 64n) | low[2 * row]);
}

function texts(column, count, first) {
  const ends = new Int32Array(aligned(column.offsets), 4 * first, count + 1);
  const letters = latin(column.data);
  const ascii = !BEYOND_ASCII.test(letters);
  const values = new Array(count);
  for (let at = 0; at < count; at++) {
    const text = letters.slice(ends[at], ends[at + 1]);
    values[at] = ascii ? text : decode(text);
  }
  return values;
}

// `values(column, count, first)` are all lists' values together; the offsets of texts
// begin with number `first`, after those of the lists.
function lists(values) {
  return (column, rows) => {
    const ends = new Int32Array(aligned(column.offsets), 0, rows + 1);
    const flat = values(column, ends[rows], rows + 1);
    return Array.from({ length: rows }, (_, row) => flat.slice(ends[row], ends[row + 1]));
  };
}

const aligned = (bytes) => new Uint8Array(bytes).buffer;

function bits(bytes, rows) {
  const values = new Array(rows);
  for (let row = 0; row < rows; row++) values[row] = ((bytes[row >> 3] >> (row & 7)) & 1) === 1;
  return values;
}

function masked(read, column, rows) {
  const values = read(column, rows);
  if (column.validity === undefined || column.validity === null) return values;
  const present = bits(column.validity, rows);
  for (let row = 0; row < rows; row++) if (!present[row]) values[row] = null;
  return values;
}

// The engine of the room has no TextDecoder. The host sends valid UTF-8 only; here a
// letter stands for each byte, and `decode` puts those of one character together.
const BEYOND_ASCII = /[\x80-\xff]/;
const AT_ONCE = 4096;

function latin(bytes) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += AT_ONCE) {
    parts.push(String.fromCharCode.apply(null, bytes.slice(at, at + AT_ONCE)));
  }
  return parts.join("");
}

function decode(letters) {
  return BEYOND_ASCII.test(letters) ? decodeURIComponent(escape(letters)) : letters;
}

// A half of a pair of UTF-16 is an error here, and fails the unit.
function encode(text) {
  const letters = unescape(encodeURIComponent(text));
  const bytes = new Uint8Array(letters.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = letters.charCodeAt(at);
  return bytes;
}

// The host's order of names is that of their bytes, which JavaScript's own is not.
function byCodePoint(a, b) {
  const [x, y] = [encode(a), encode(b)];
  const at = x.findIndex((byte, i) => byte !== y[i]);
  return at < 0 ? x.length - y.length : x[at] - (y[at] ?? -1);
}

/// The ABI's world `inner` around what a guest exports. `sluice guest build` calls it.
/// One instance lives for one unit, so `made` starts empty for each of them.
export function innerRoom(exported) {
  let made;
  return {
    start(params, state) {
      made = new Room({}, state);
      for (const [name, value] of params) {
        if (name.startsWith("input.")) made.inputs.set(name.slice(6), new Rows(schema(value)));
        else made.params[name] = value;
      }
    },
    process(input, batch) {
      told(() => [...made.inputs.values()][input].push(batch));
    },
    finish() {
      return told(() => {
        const wanted = typeof exported.map === "function" ? exported : exported[made.params.table];
        if (!wanted) throw new Error(`this guest has no table \`${made.params.table}\``);
        return output(wanted, wanted.map(made));
      });
    },
  };
}

// The ABI's error is a text.
function told(work) {
  try {
    return work();
  } catch (error) {
    throw `${error}\n${error?.stack ?? ""}`;
  }
}

function schema(text) {
  return text.split(",").filter(Boolean).map((part) => {
    const colon = part.lastIndexOf(":");
    return [part.slice(0, colon), part.slice(colon + 1)];
  });
}

function output({ dimensions, measures }, rows) {
  const wanted = Object.keys(dimensions).length + measures.length;
  for (const row of rows) {
    if (Object.keys(row).length !== wanted) throw new Error(`an output row has the keys ${Object.keys(row).join(", ")}`);
  }
  const columns = Object.entries(dimensions).map(([name, kind]) => keys(name, kind, rows.map((row) => row[name])));
  for (const name of measures) {
    const values = rows.map((row) => row[name]);
    if (!values.every((value) => typeof value === "number")) throw new TypeError(`a value of \`${name}\` is no number`);
    columns.push(plain(Float64Array.from(values)));
  }
  return { rows: rows.length, columns };
}

function keys(name, kind, values) {
  if (kind === "int") {
    const int = (v) => (typeof v === "bigint" ? BigInt.asIntN(64, v) === v : Number.isSafeInteger(v));
    if (!values.every(int)) throw new TypeError(`a key of \`${name}\` is no int of 64 bits`);
    return plain(BigInt64Array.from(values, BigInt));
  }
  if (!values.every((v) => typeof v === "string")) throw new TypeError(`a key of \`${name}\` is no text`);
  // Keys are few and often repeated.
  const encoded = new Map();
  const ends = new Int32Array(values.length + 1);
  const words = values.map((word, row) => {
    if (!encoded.has(word)) encoded.set(word, encode(word));
    ends[row + 1] = ends[row] + encoded.get(word).length;
    return encoded.get(word);
  });
  const data = new Uint8Array(ends[values.length]);
  words.forEach((word, row) => data.set(word, ends[row]));
  return { nulls: 0, offsets: new Uint8Array(ends.buffer), data };
}

function plain(values) {
  return { nulls: 0, data: new Uint8Array(values.buffer) };
}
