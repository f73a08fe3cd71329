// Nothing changes in a frozen namespace, whatever RBAC allows.
#include "portcullis.h"

static bool reads(pc_str verb) {
  return pc_equal(verb, PC_STR("get")) || pc_equal(verb, PC_STR("list")) || pc_equal(verb, PC_STR("watch"));
}

static void authorize(pc_value config, const pc_value *values, pc_decision *decision) {
  pc_str verb = pc_string(values[0]), space = pc_string(values[1]);
  pc_value frozen = pc_get(config, PC_STR("frozen"));
  if (reads(verb)) return;
  for (size_t i = 0; i < pc_len(frozen); i++) {
    if (!pc_equal(pc_string(pc_at(frozen, i)), space)) continue;
    decision->decides = PC_DENY;
    decision->why = PC_TEXT(PC_STR("the namespace "), space, PC_STR(" is frozen"));
    return;
  }
}

PC_AUTHORIZER(authorize, "/request/verb", "/request/namespace")
