// Memory, text and answers. See portcullis.h.
#include "portcullis.h"

// ---- Memory: one stack that grows upwards and is taken back whole at the end of a call.

extern uint8_t __heap_base;
static uintptr_t top, bottom;

#define PAGE 65536u

static void *take(size_t size, size_t align) {
  if (top == 0) top = bottom = (uintptr_t)&__heap_base;
  uintptr_t at = (top + align - 1) & ~(uintptr_t)(align - 1);
  if (at + size < at) __builtin_trap();
  top = at + size;
  uintptr_t have = (uintptr_t)__builtin_wasm_memory_size(0) * PAGE;
  if (top > have && __builtin_wasm_memory_grow(0, (top - have + PAGE - 1) / PAGE) == (size_t)-1) __builtin_trap();
  return (void *)at;
}

static void copy(void *to, const void *from, size_t size) {
  for (size_t i = 0; i < size; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}

void *pc_alloc(size_t size) {
  uint8_t *at = take(size, 8);
  for (size_t i = 0; i < size; i++) at[i] = 0;
  return at;
}

void pc_end(void) { top = bottom; }

// What the host puts the arguments of a call into.
PC_EXPORT("cabi_realloc") void *pc_realloc(void *old, size_t old_size, size_t align, size_t size) {
  void *at = take(size, align);
  if (old) copy(at, old, old_size < size ? old_size : size);
  return at;
}

// Compilers may call these for whole structs.
__attribute__((weak)) void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  copy(to, from, size);
  return to;
}
__attribute__((weak)) void *memset(void *to, int byte, size_t size) {
  for (size_t i = 0; i < size; i++) ((uint8_t *)to)[i] = (uint8_t)byte;
  return to;
}

// ---- Text.

bool pc_equal(pc_str left, pc_str right) { return left.len == right.len && pc_starts_with(left, right); }

bool pc_starts_with(pc_str text, pc_str start) {
  if (text.len < start.len) return false;
  for (size_t i = 0; i < start.len; i++)
    if (text.ptr[i] != start.ptr[i]) return false;
  return true;
}

pc_str pc_text(const pc_str *parts, size_t count) {
  size_t len = 0;
  for (size_t i = 0; i < count; i++) len += parts[i].len;
  char *to = pc_alloc(len), *at = to;
  for (size_t i = 0; i < count; at += parts[i].len, i++) copy(at, parts[i].ptr, parts[i].len);
  return (pc_str){to, len};
}

pc_str pc_decimal(int64_t number) {
  char *end = (char *)pc_alloc(20) + 20, *at = end;
  uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
  do *--at = (char)('0' + rest % 10);
  while (rest /= 10);
  if (number < 0) *--at = '-';
  return (pc_str){at, (size_t)(end - at)};
}

pc_str pc_json_string(pc_str text) {
  static const char digits[] = "0123456789abcdef";
  char *to = pc_alloc(2 + 6 * text.len), *at = to;
  *at++ = '"';
  for (size_t i = 0; i < text.len; i++) {
    uint8_t byte = (uint8_t)text.ptr[i];
    if (byte >= 0x20 && byte != '"' && byte != '\\') {
      *at++ = (char)byte;
    } else if (byte >= 0x20) {
      *at++ = '\\';
      *at++ = (char)byte;
    } else {
      copy(at, "\\u00", 4);
      at[4] = digits[byte >> 4];
      at[5] = digits[byte & 15];
      at += 6;
    }
  }
  *at++ = '"';
  return (pc_str){to, (size_t)(at - to)};
}

pc_str pc_segment(pc_str key) {
  char *to = pc_alloc(2 * key.len), *at = to;
  for (size_t i = 0; i < key.len; i++) {
    char byte = key.ptr[i];
    if (byte == '~' || byte == '/') {
      *at++ = '~';
      *at++ = byte == '~' ? '0' : '1';
    } else {
      *at++ = byte;
    }
  }
  return (pc_str){to, (size_t)(at - to)};
}

// ---- Answers.

// A list with room for one more item, which is all zero. Lists are short: each addition copies them.
static void *grow(void *items, size_t len, size_t size) {
  void *more = pc_alloc((len + 1) * size);
  copy(more, items, len * size);
  return more;
}

void pc_push(pc_strings *list, pc_str text) {
  list->items = grow(list->items, list->len, sizeof text);
  list->items[list->len++] = text;
}

void pc_deny(pc_verdict *verdict, pc_str message) {
  verdict->is_denied = true;
  verdict->denied.message = message;
}

void pc_audit(pc_facts *facts, pc_str key, pc_str value) {
  facts->items = grow(facts->items, facts->len, sizeof(pc_fact));
  facts->items[facts->len++] = (pc_fact){key, value};
}

void pc_patch(pc_mutation *mutation, pc_op op, pc_str path, pc_str json) {
  mutation->patch = grow(mutation->patch, mutation->patch_len, sizeof(pc_operation));
  mutation->patch[mutation->patch_len++] = (pc_operation){(uint8_t)op, path, json};
}

void pc_error(pc_findings *findings, pc_error_type type, pc_str field, pc_str json, pc_str detail) {
  findings->errors = grow(findings->errors, findings->errors_len, sizeof(pc_field_error));
  findings->errors[findings->errors_len++] = (pc_field_error){(uint8_t)type, field, json, detail};
}

// ---- Stages.

pc_value pc_config;

static size_t length(const char *text) {
  size_t len = 0;
  while (text[len]) len++;
  return len;
}

pc_strings pc_list(const char *const *texts, size_t count) {
  pc_strings list = {pc_alloc(count * sizeof(pc_str)), count};
  for (size_t i = 0; i < count; i++) list.items[i] = (pc_str){texts[i], length(texts[i])};
  bottom = top;
  return list;
}

pc_configured *pc_configure(pc_str json, const char *const *paths, size_t count) {
  pc_configured *answer = pc_alloc(sizeof *answer);
  pc_config = pc_parse(json);
  if (pc_kind_of(pc_config) == PC_OBJECT) {
    answer->declared.paths = pc_list(paths, count);
  } else {
    answer->is_error = 1;
    answer->error = PC_STR("config: it must be an object");
  }
  // All of it stays for as long as the instance does.
  bottom = top;
  return answer;
}

const pc_value *pc_values(const uint8_t *input, size_t count) {
  pc_value root = pc_root(input), *values = pc_alloc(count * sizeof(pc_value));
  for (size_t i = 0; i < count; i++) values[i] = pc_at(root, i);
  return values;
}

// ---- The host.

#define IMPORT(interface, name) \
  __attribute__((import_module("portcullis:policy/" interface "@0.1.0"), import_name(name)))

IMPORT("log", "write") void import_log(uint32_t level, const char *text, size_t len);
IMPORT("clock", "now") uint64_t import_now(void);

typedef struct {
  uint8_t is_error;
  union {
    struct {
      uint8_t is_some;
      const uint8_t *tape;
      size_t len;
    } found;
    struct {
      uint8_t kind;
      pc_str text;
    } error;
  };
} pc_read;

IMPORT("cluster", "get")
void import_get(const char *resource, size_t resource_len, const char *space, size_t space_len, const char *name,
                size_t name_len, const pc_str *paths, size_t paths_len, pc_read *read);

void pc_log(pc_level level, pc_str line) { import_log(level, line.ptr, line.len); }

uint64_t pc_now(void) { return import_now(); }

pc_value pc_cluster_get(pc_str resource, pc_str space, pc_str name, pc_strings paths, pc_str *error) {
  pc_read *read = pc_alloc(sizeof *read);
  import_get(resource.ptr, resource.len, space.ptr, space.len, name.ptr, name.len, paths.items, paths.len, read);
  *error = read->is_error ? read->error.text : (pc_str){0, 0};
  return !read->is_error && read->found.is_some ? pc_root(read->found.tape) : (pc_value){0, 0};
}
