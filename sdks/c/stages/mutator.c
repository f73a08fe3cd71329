// Pods take a label of their namespace, unless they have one of their own.
#include "portcullis.h"

static void mutate(pc_value config, const pc_value *values, pc_mutation *mutation) {
  pc_str label = pc_string(pc_get(config, PC_STR("label")));
  pc_value own = values[0];
  pc_str inherited = pc_string(pc_get(values[1], label));
  if (inherited.len == 0 || pc_kind_of(pc_get(own, label)) != PC_ABSENT) return;
  pc_str value = pc_json_string(inherited);
  if (pc_kind_of(own) == PC_ABSENT) {
    pc_str labels = PC_TEXT(PC_STR("{"), pc_json_string(label), PC_STR(":"), value, PC_STR("}"));
    pc_patch(mutation, PC_ADD, PC_STR("/metadata/labels"), labels);
  } else {
    pc_patch(mutation, PC_ADD, PC_TEXT(PC_STR("/metadata/labels/"), pc_segment(label)), value);
  }
}

PC_MUTATOR(mutate, "/object/metadata/labels", "/namespaceObject/metadata/labels")
