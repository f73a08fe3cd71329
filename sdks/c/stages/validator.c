// Every pod says whose it is: it carries a label.
#include "portcullis.h"

static void check(pc_value config, const pc_value *values, pc_verdict *verdict) {
  pc_str label = pc_string(pc_get(config, PC_STR("label")));
  pc_str owner = pc_string(pc_get(values[0], label));
  if (owner.len == 0) {
    pc_deny(verdict, PC_TEXT(PC_STR("every pod carries the label \""), label, PC_STR("\": whose is this one?")));
    return;
  }
  pc_audit(&verdict->audit, PC_STR("owner"), owner);
}

// What is read of the request; `values` has a value for each path.
PC_VALIDATOR(check, "/object/metadata/labels")
