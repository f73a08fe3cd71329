// The tape: values that the host packed, read in place. The format is on one page, wit/tape.md.
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** A value inside a tape, or *absent*, which is not `null`. Nothing is copied until it is asked for. */
export class Value {
  constructor(view, at) { this.view = view; this.at = at; }
  /** The value of a whole tape. */
  static of(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new Value(view, view.getUint32(12, true));
  }
  #word(index) { return this.view.getUint32(this.at + 4 * index, true); }
  get #tag() { return this.at === 0 ? 0 : this.#word(0) & 15; }
  get #count() { return this.at === 0 ? 0 : this.#word(0) >>> 4; }
  #child(index) { return new Value(this.view, this.at - this.#word(index)); }
  #bytes() { return new Uint8Array(this.view.buffer, this.view.byteOffset + this.at + 4, this.#count); }
  #text() { return decoder.decode(this.#bytes()); }
  /** How many items or members there are; 0 for what is no array or object. */
  get length() { return this.#tag === 8 || this.#tag === 9 ? this.#count : 0; }
  get isAbsent() { return this.#tag === 0; }
  get isArray() { return this.#tag === 8; }
  get isObject() { return this.#tag === 9; }
  /** The text, or `""` if this is no string. */
  get string() { return this.#tag === 7 ? this.#text() : ""; }
  /** Item `key` of an array, or the member `key` of an object, or absent. */
  get(key) {
    if (this.#tag === 8 && key < this.#count) return this.#child(1 + key);
    if (this.#tag === 9) {
      const wanted = encoder.encode(key);
      // Keys are in the order of their bytes.
      for (let low = 0, high = this.#count; low < high;) {
        const middle = (low + high) >>> 1;
        const order = compare(this.#child(1 + 2 * middle).#bytes(), wanted);
        if (order === 0) return this.#child(2 + 2 * middle);
        if (order < 0) low = middle + 1; else high = middle;
      }
    }
    return new Value(this.view, 0);
  }
  /** The items of an array. */
  *[Symbol.iterator]() {
    if (this.#tag === 8) for (let index = 0; index < this.#count; index++) yield this.#child(1 + index);
  }
  /** The members of an object, as pairs of key and value. */
  *entries() {
    if (this.#tag !== 9) return;
    for (let index = 0; index < this.#count; index++) yield [this.#child(1 + 2 * index).#text(), this.#child(2 + 2 * index)];
  }
  /** The whole value as JavaScript has it; absent is `undefined`. Integers that a number cannot hold are BigInts. */
  get js() {
    switch (this.#tag) {
      case 1: return null;
      case 2: return false;
      case 3: return true;
      case 4: return integer(this.view.getBigInt64(this.at + 4, true));
      case 5: return integer(this.view.getBigUint64(this.at + 4, true));
      case 6: return this.view.getFloat64(this.at + 4, true);
      case 7: return this.#text();
      case 8: return Array.from(this, (item) => item.js);
      case 9: return Object.fromEntries(Array.from(this.entries(), ([key, value]) => [key, value.js]));
      default: return undefined;
    }
  }
}

function integer(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function compare(left, right) {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) if (left[index] !== right[index]) return left[index] - right[index];
  return left.length - right.length;
}
