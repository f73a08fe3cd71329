// Every pod says whose it is: it carries the label `team`.
import * as portcullis from "./sdk/portcullis.js";

export const validator = portcullis.validator(["/object/metadata/labels/team"], (config, team) => {
  if (team.string === "") return portcullis.deny('every pod carries the label "team": whose is this one?');
  return portcullis.allow({ audit: { team: team.string } });
});
