// Pods take a label of their namespace, unless they have one of their own.
import * as portcullis from "./sdk/portcullis.js";

const paths = ["/object/metadata/labels", "/namespaceObject/metadata/labels"];

export const mutator = portcullis.mutator(paths, ({ label }, own, inherited) => {
  const value = inherited.get(label).string;
  if (value === "" || !own.get(label).isAbsent) return {};
  if (own.isAbsent) return { patch: [{ op: "add", path: "/metadata/labels", value: { [label]: value } }] };
  const segment = label.replaceAll("~", "~0").replaceAll("/", "~1");
  return { patch: [{ op: "add", path: `/metadata/labels/${segment}`, value }] };
});
