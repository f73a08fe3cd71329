// The tape reader of the JavaScript SDK against the vectors: node tape.mjs SDK-FOLDER VECTORS
import { readFileSync } from "node:fs";
const [sdk, vectors] = process.argv.slice(2);
const { Value } = await import(`${sdk}/tape.js`);

function show(value) {
  if (value.isAbsent) return "absent";
  if (value.isArray) return `[${Array.from(value, show)}]`;
  if (value.isObject) {
    // Every member is found by its key, too.
    return `{${Array.from(value.entries(), ([key, member]) => `"${key}":${show(value.get(key).at === member.at ? member : undefined)}`)}}`;
  }
  const plain = value.js;
  return typeof plain === "string" ? `"${plain}"` : String(plain);
}

let count = 0;
for (const line of readFileSync(vectors, "utf8").trimEnd().split("\n")) {
  const [hex, expected] = line.split("\t");
  // At an odd address: a buffer may lie anywhere.
  const found = show(Value.of(Buffer.from(`00${hex}`, "hex").subarray(1)));
  if (found !== expected) throw new Error(`expected ${expected}, got ${found}`);
  count++;
}
console.log(`${count} tapes`);
