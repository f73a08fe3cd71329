// The tape reader of the C SDK against the vectors, which come on the standard input; and its JSON parser against what the
// vectors say, as far as that is JSON.
#include "portcullis.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Of the SDK's other file, which is for wasm alone.
void *pc_alloc(size_t size) { return calloc(1, size + 1); }
bool pc_starts_with(pc_str text, pc_str start) {
  return text.len >= start.len && memcmp(text.ptr, start.ptr, start.len) == 0;
}
bool pc_equal(pc_str left, pc_str right) { return left.len == right.len && pc_starts_with(left, right); }

static char *show(pc_value value, char *out) {
  int64_t number;
  pc_str key;
  switch (pc_kind_of(value)) {
    case PC_ABSENT:
      return out + sprintf(out, "absent");
    case PC_NULL:
      return out + sprintf(out, "null");
    case PC_BOOL:
      return out + sprintf(out, pc_true(value) ? "true" : "false");
    case PC_NUMBER:
      if (pc_int(value, &number)) return out + sprintf(out, "%" PRId64, number);
      if (pc_float(value) > 1e19) return out + sprintf(out, "%" PRIu64, UINT64_MAX);
      return out + sprintf(out, "%g", pc_float(value));
    case PC_STRING:
      return out + sprintf(out, "\"%.*s\"", (int)pc_string(value).len, pc_string(value).ptr);
    case PC_ARRAY:
      *out++ = '[';
      for (size_t i = 0; i < pc_len(value); i++) {
        if (i) *out++ = ',';
        out = show(pc_at(value, i), out);
      }
      return out + sprintf(out, "]");
    case PC_OBJECT:
      *out++ = '{';
      for (size_t i = 0; i < pc_len(value); i++) {
        if (i) *out++ = ',';
        pc_value member = pc_member(value, i, &key);
        if (pc_get(value, key).at != member.at) exit(printf("not found by its key: %.*s\n", (int)key.len, key.ptr));
        out += sprintf(out, "\"%.*s\":", (int)key.len, key.ptr);
        out = show(member, out);
      }
      return out + sprintf(out, "}");
  }
  return out;
}

static char line[1 << 20], found[1 << 20];
static uint8_t tape[1 << 19];

static void compare(const char *expected) {
  if (strcmp(found, expected) != 0) exit(printf("expected %s, got %s\n", expected, found));
}

int main(void) {
  int count = 0;
  for (; fgets(line, sizeof line, stdin); count++) {
    char *expected = strchr(line, '\t');
    *expected++ = 0;
    expected[strcspn(expected, "\n")] = 0;
    for (size_t i = 0; line[2 * i]; i++) {
      char digits[3] = {line[2 * i], line[2 * i + 1], 0};
      tape[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    *show(pc_root(tape), found) = 0;
    compare(expected);
    if (strstr(expected, "absent") || strstr(expected, "18446744073709551615") || strstr(expected, "9223372036854775807") ||
        strstr(expected, "-9223372036854775808"))
      continue;
    *show(pc_parse((pc_str){expected, strlen(expected)}), found) = 0;
    compare(expected);
  }
  *show(pc_parse(PC_STR(" { \"a\\u00e9\\n\" : [ 1.5e1, -0.25 ,\"\\ud83e\\udd80\\/\" ] } ")), found) = 0;
  compare("{\"a\xc3\xa9\n\":[15,-0.25,\"\xf0\x9f\xa6\x80/\"]}");
  const char *bad[] = {"", "{", "[1,]", "{\"a\"}", "\"\\x\"", "1 2", "nul", "\"a"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (pc_kind_of(pc_parse((pc_str){bad[i], strlen(bad[i])})) != PC_ABSENT) return printf("%s is no JSON\n", bad[i]);
  return printf("%d tapes\n", count) < 0;
}
