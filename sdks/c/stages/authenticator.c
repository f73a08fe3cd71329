// A proxy in front of the cluster has authenticated the caller, and says so in headers. They count only on a connection
// with the proxy's client certificate.
#include "portcullis.h"

static void authenticate(pc_value config, const pc_value *values, pc_outcome *outcome) {
  pc_str known = pc_string(pc_get(config, PC_STR("proxy")));
  pc_str proxy = pc_string(values[0]), user = pc_string(values[1]);
  if (known.len == 0 || !pc_equal(known, proxy) || user.len == 0) return;
  pc_strings groups = {0, 0};
  for (size_t i = 0; i < pc_len(values[2]); i++) {
    pc_str group = pc_string(pc_at(values[2], i));
    if (pc_starts_with(group, PC_STR("system:"))) {
      outcome->finds = PC_REJECTED;
      outcome->why = PC_TEXT(proxy, PC_STR(" may not say that "), user, PC_STR(" is in "), group);
      return;
    }
    pc_push(&groups, group);
  }
  outcome->finds = PC_AUTHENTICATED;
  outcome->user.username = user;
  outcome->user.groups = groups;
}

PC_AUTHENTICATOR(authenticate, "/tls/peerCertificates/0/subject/commonName", "/request/headers/x-remote-user/0",
                 "/request/headers/x-remote-group")
