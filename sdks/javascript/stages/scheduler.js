// Pods that name a zone run there, on the node with the fewest pods.
import * as portcullis from "./sdk/portcullis.js";

const paths = ["/pod/metadata/labels"];
const nodePaths = ["/metadata/labels"];

export const scheduler = portcullis.scheduler(paths, nodePaths, ({ label }, nodes, labels) => {
  const wanted = labels.get(label).string;
  const pods = nodes.resources.indexOf("pods") * nodes.count;
  const score = (node) => {
    const zone = nodes.value(node, 0).get(label).string;
    if (wanted !== "" && zone !== wanted) return -1;
    const [all, taken] = [Number(nodes.allocatable[pods + node]), Number(nodes.requested[pods + node])];
    return all > 0 ? Math.max(Math.floor(((all - taken) * 100) / all), 0) : 0;
  };
  return { scores: Array.from({ length: nodes.count }, (_, node) => score(node)), reasons: ["node(s) in another zone"] };
});
