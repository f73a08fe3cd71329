// A proxy in front of the cluster has authenticated the caller, and says so in headers. They count only on a connection
// with the proxy's client certificate.
import * as portcullis from "./sdk/portcullis.js";

const paths = [
  "/tls/peerCertificates/0/subject/commonName",
  "/request/headers/x-remote-user/0",
  "/request/headers/x-remote-group",
];

export const authenticator = portcullis.authenticator(paths, (config, proxy, user, groups) => {
  if (!config.proxy || proxy.string !== config.proxy || user.string === "") return undefined;
  const names = Array.from(groups, (group) => group.string);
  const own = names.find((name) => name.startsWith("system:"));
  if (own) return { rejected: `${proxy.string} may not say that ${user.string} is in ${own}` };
  return { username: user.string, groups: names };
});
