// Pods that name a zone run there, on the node with the fewest pods.
#include "portcullis.h"

static void place(pc_value config, const pc_value *values, const pc_nodes *nodes, pc_placement *placement) {
  pc_str label = pc_string(pc_get(config, PC_STR("label")));
  pc_str wanted = pc_string(pc_get(values[0], label));
  size_t pods = 0;
  while (pods < nodes->resources.len && !pc_equal(nodes->resources.items[pods], PC_STR("pods"))) pods++;
  for (size_t node = 0; node < nodes->nodes; node++) {
    pc_str zone = pc_string(pc_get(pc_at(pc_at(nodes->values, node), 0), label));
    int64_t all = nodes->allocatable[pods * nodes->nodes + node], taken = nodes->requested[pods * nodes->nodes + node];
    if (wanted.len > 0 && !pc_equal(zone, wanted))
      placement->scores[node] = -1;
    else if (all > taken)
      placement->scores[node] = (all - taken) * 100 / all;
  }
  pc_push(&placement->reasons, PC_STR("node(s) in another zone"));
}

PC_SCHEDULER(place, PC_PATHS("/pod/metadata/labels"), PC_PATHS("/metadata/labels"))
