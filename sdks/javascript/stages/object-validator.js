// What no schema can say of a Web: its range is in order.
import * as portcullis from "./sdk/portcullis.js";

const paths = ["/object/spec/min", "/object/spec/max"];

export const objectValidator = portcullis.objectValidator(paths, (config, min, max) => {
  if (max.js < min.js) return [{ type: "invalid", field: "spec.max", value: max.js, detail: "must be at least spec.min" }];
  return [];
});
