// Every pod says whose it is: it carries a label.
import * as portcullis from "./sdk/portcullis.js";

// What is read of the request; the function gets a value for each path, after the Plugin's config.
const paths = ["/object/metadata/labels"];

export const validator = portcullis.validator(paths, (config, labels) => {
  const owner = labels.get(config.label).string;
  if (owner === "") return portcullis.deny(`every pod carries the label "${config.label}": whose is this one?`);
  return portcullis.allow({ audit: { owner } });
});
