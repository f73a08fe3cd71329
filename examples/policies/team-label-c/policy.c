// Every pod says whose it is: it carries the label `team`.
#include "portcullis.h"

static void check(pc_value config, const pc_value *values, pc_verdict *verdict) {
  pc_str team = pc_string(values[0]);
  if (team.len == 0)
    pc_deny(verdict, PC_STR("every pod carries the label \"team\": whose is this one?"));
  else
    pc_audit(&verdict->audit, PC_STR("team"), team);
}

PC_VALIDATOR(check, "/object/metadata/labels/team")
