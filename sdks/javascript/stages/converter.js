// Webs have `spec.size` in v1, and `spec.replicas` in v2.
import * as portcullis from "./sdk/portcullis.js";

const names = { "example.com/v1": ["replicas", "size"], "example.com/v2": ["size", "replicas"] };

export const converter = portcullis.converter((config, object, wanted) => {
  if (!(wanted in names)) throw new Error(`there is no Web in ${wanted}`);
  const [from, to] = names[wanted];
  if (object.spec && from in object.spec) {
    object.spec[to] = object.spec[from];
    delete object.spec[from];
  }
  return object;
});
