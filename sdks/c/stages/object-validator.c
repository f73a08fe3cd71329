// What no schema can say of a Web: its range is in order.
#include "portcullis.h"

static void check(pc_value config, const pc_value *values, pc_findings *findings) {
  int64_t min, max;
  if (pc_int(values[0], &min) && pc_int(values[1], &max) && max < min)
    pc_error(findings, PC_INVALID, PC_STR("spec.max"), pc_decimal(max), PC_STR("must be at least spec.min"));
}

PC_OBJECT_VALIDATOR(check, "/object/spec/min", "/object/spec/max")
