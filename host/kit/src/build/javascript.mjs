// node portcullis.mjs POLICY.js WIT-FOLDER WORLD OUT.wasm
import { writeFileSync } from "node:fs";
import { componentize } from "@bytecodealliance/componentize-js";

const [sourcePath, witPath, worldName, out] = process.argv.slice(2);
// A policy is given none of what an engine for servers has: nothing of WASI may be left among the imports.
const disableFeatures = ["random", "stdio", "clocks", "http", "fetch-event"];
const { component } = await componentize({ sourcePath, witPath, worldName, disableFeatures });
writeFileSync(out, component);
