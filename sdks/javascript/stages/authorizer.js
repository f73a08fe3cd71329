// Nothing changes in a frozen namespace, whatever RBAC allows.
import * as portcullis from "./sdk/portcullis.js";

const paths = ["/request/verb", "/request/namespace"];

export const authorizer = portcullis.authorizer(paths, ({ frozen }, verb, namespace) => {
  const reads = ["get", "list", "watch"].includes(verb.string);
  if (!reads && frozen.includes(namespace.string)) return { deny: `the namespace ${namespace.string} is frozen` };
});
