// The tape (wit/tape.md): reading, and making one of JSON text.
#include "portcullis.h"

enum { ABSENT, NULL_, FALSE_, TRUE_, I64, U64, F64, STRING, ARRAY, OBJECT, KEY = 14 };

static uint32_t word(pc_value value, size_t index) {
  uint32_t found;
  __builtin_memcpy(&found, value.tape + value.at + 4 * index, 4);
  return found;
}

static uint32_t tag(pc_value value) { return value.at ? word(value, 0) & 15 : ABSENT; }
static uint32_t count(pc_value value) { return value.at ? word(value, 0) >> 4 : 0; }
static pc_value child(pc_value value, size_t index) { return (pc_value){value.tape, value.at - word(value, index)}; }
static pc_str text(pc_value value) { return (pc_str){(const char *)value.tape + value.at + 4, count(value)}; }

pc_value pc_root(const uint8_t *tape) {
  pc_value header = {tape, 0};
  return (pc_value){tape, word(header, 3)};
}

pc_kind pc_kind_of(pc_value value) {
  static const uint8_t kinds[] = {PC_ABSENT, PC_NULL,   PC_BOOL,   PC_BOOL,  PC_NUMBER,
                                  PC_NUMBER, PC_NUMBER, PC_STRING, PC_ARRAY, PC_OBJECT};
  return tag(value) <= OBJECT ? (pc_kind)kinds[tag(value)] : PC_ABSENT;
}

size_t pc_len(pc_value value) { return tag(value) == ARRAY || tag(value) == OBJECT ? count(value) : 0; }

pc_value pc_at(pc_value array, size_t index) {
  return tag(array) == ARRAY && index < count(array) ? child(array, 1 + index) : (pc_value){array.tape, 0};
}

pc_value pc_member(pc_value object, size_t index, pc_str *key) {
  if (tag(object) != OBJECT || index >= count(object)) return (pc_value){object.tape, 0};
  *key = text(child(object, 1 + 2 * index));
  return child(object, 2 + 2 * index);
}

pc_value pc_get(pc_value object, pc_str key) {
  pc_str found;
  for (size_t index = 0; index < pc_len(object) && tag(object) == OBJECT; index++) {
    pc_value value = pc_member(object, index, &found);
    if (pc_equal(found, key)) return value;
  }
  return (pc_value){object.tape, 0};
}

pc_str pc_string(pc_value value) { return tag(value) == STRING ? text(value) : (pc_str){0, 0}; }

bool pc_true(pc_value value) { return tag(value) == TRUE_; }

bool pc_int(pc_value value, int64_t *number) {
  if (tag(value) != I64) return false;
  __builtin_memcpy(number, value.tape + value.at + 4, 8);
  return true;
}

double pc_float(pc_value value) {
  union {
    int64_t i;
    uint64_t u;
    double f;
  } bits = {0};
  if (tag(value) < I64 || tag(value) > F64) return 0;
  __builtin_memcpy(&bits, value.tape + value.at + 4, 8);
  return tag(value) == I64 ? (double)bits.i : tag(value) == U64 ? (double)bits.u : bits.f;
}

// ---- From JSON. Members stay in the order of the text: the reader above asks for no other.

typedef struct {
  const char *at, *end;
  uint8_t *tape;
  uint32_t len;
  // Values that wait for their parent, each with its key's place for members.
  uint32_t *slots;
  size_t waiting;
  bool failed;
} parser;

static void put(parser *p, uint32_t word) {
  __builtin_memcpy(p->tape + p->len, &word, 4);
  p->len += 4;
}

static void space(parser *p) {
  while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r')) p->at++;
}

static bool take(parser *p, char wanted) {
  space(p);
  if (p->at >= p->end || *p->at != wanted) return false;
  p->at++;
  return true;
}

static uint32_t hex(parser *p) {
  uint32_t code = 0;
  for (int i = 0; i < 4; i++, p->at++) {
    if (p->at >= p->end) return p->failed = true, 0;
    char c = *p->at;
    uint32_t digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
    if (digit > 15) return p->failed = true, 0;
    code = code << 4 | digit;
  }
  return code;
}

static void utf8(parser *p, uint32_t code) {
  uint8_t *to = p->tape + p->len;
  if (code < 0x80) {
    to[0] = (uint8_t)code, p->len += 1;
  } else if (code < 0x800) {
    to[0] = (uint8_t)(0xc0 | code >> 6), to[1] = (uint8_t)(0x80 | (code & 63)), p->len += 2;
  } else if (code < 0x10000) {
    to[0] = (uint8_t)(0xe0 | code >> 12), to[1] = (uint8_t)(0x80 | (code >> 6 & 63)),
    to[2] = (uint8_t)(0x80 | (code & 63)), p->len += 3;
  } else {
    to[0] = (uint8_t)(0xf0 | code >> 18), to[1] = (uint8_t)(0x80 | (code >> 12 & 63)),
    to[2] = (uint8_t)(0x80 | (code >> 6 & 63)), to[3] = (uint8_t)(0x80 | (code & 63)), p->len += 4;
  }
}

static void escape(parser *p) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (p->at >= p->end) {
    p->failed = true;
    return;
  }
  char c = *p->at++;
  if (c == 'u') {
    uint32_t code = hex(p);
    if (code >= 0xd800 && code < 0xdc00 && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u') {
      p->at += 2;
      code = 0x10000 + ((code - 0xd800) << 10) + ((hex(p) - 0xdc00) & 0x3ff);
    }
    utf8(p, code);
    return;
  }
  for (size_t i = 0; i < sizeof from - 1; i++)
    if (from[i] == c) {
      p->tape[p->len++] = (uint8_t)to[i];
      return;
    }
  p->failed = true;
}

// A string node; its place.
static uint32_t string(parser *p, uint32_t kind) {
  uint32_t at = p->len;
  if (!take(p, '"')) p->failed = true;
  put(p, 0);
  while (!p->failed && p->at < p->end && *p->at != '"') {
    char c = *p->at++;
    if (c == '\\')
      escape(p);
    else
      p->tape[p->len++] = (uint8_t)c;
  }
  if (p->at >= p->end || *p->at++ != '"') p->failed = true;
  uint32_t head = (p->len - at - 4) << 4 | kind;
  __builtin_memcpy(p->tape + at, &head, 4);
  while (p->len & 3) p->tape[p->len++] = 0;
  return at;
}

static uint32_t number(parser *p) {
  bool negative = p->at < p->end && *p->at == '-', whole = true;
  if (negative) p->at++;
  const char *start = p->at;
  uint64_t digits = 0;
  double value = 0, scale = 1;
  for (; p->at < p->end; p->at++) {
    if (*p->at == '.' && whole) {
      whole = false;
      continue;
    }
    if (*p->at < '0' || *p->at > '9') break;
    value = value * 10 + (*p->at - '0');
    digits = digits * 10 + (uint64_t)(*p->at - '0');
    if (!whole) scale *= 10;
  }
  if (p->at == start) p->failed = true;
  value /= scale;
  if (p->at < p->end && (*p->at | 32) == 'e') {
    p->at++, whole = false;
    bool down = p->at < p->end && *p->at == '-';
    if (p->at < p->end && (*p->at == '-' || *p->at == '+')) p->at++;
    int power = 0;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++)
      if (power < 400) power = power * 10 + (*p->at - '0');
    while (power-- > 0) value = down ? value / 10 : value * 10;
  }
  uint32_t at = p->len;
  bool fits = whole && value < 9.2e18;
  union {
    int64_t i;
    double f;
  } bits = {0};
  if (fits)
    bits.i = negative ? -(int64_t)digits : (int64_t)digits;
  else
    bits.f = negative ? -value : value;
  put(p, fits ? I64 : F64);
  __builtin_memcpy(p->tape + p->len, &bits, 8);
  p->len += 8;
  return at;
}

static uint32_t value(parser *p, int depth);

static uint32_t container(parser *p, int depth, char close, bool object) {
  size_t first = p->waiting;
  if (!take(p, close)) {
    do {
      uint32_t key = object ? string(p, KEY) : 0;
      if (object && !take(p, ':')) p->failed = true;
      if (p->failed) return 0;
      uint32_t at = value(p, depth + 1);
      if (object) p->slots[p->waiting++] = key;
      p->slots[p->waiting++] = at;
    } while (!p->failed && take(p, ','));
    if (!take(p, close)) p->failed = true;
  }
  if (p->failed) return 0;
  uint32_t at = p->len, words = (uint32_t)(p->waiting - first);
  put(p, (object ? words / 2 : words) << 4 | (object ? OBJECT : ARRAY));
  for (size_t i = first; i < p->waiting; i++) put(p, at - p->slots[i]);
  p->waiting = first;
  return at;
}

static bool literal(parser *p, pc_str wanted) {
  if (!pc_starts_with((pc_str){p->at, (size_t)(p->end - p->at)}, wanted)) return false;
  p->at += wanted.len;
  return true;
}

static uint32_t value(parser *p, int depth) {
  space(p);
  if (depth > 100 || p->at >= p->end) return p->failed = true, 0;
  if (*p->at == '"') return string(p, STRING);
  if (take(p, '[')) return container(p, depth, ']', false);
  if (take(p, '{')) return container(p, depth, '}', true);
  uint32_t at = p->len;
  if (literal(p, PC_STR("null"))) return put(p, NULL_), at;
  if (literal(p, PC_STR("false"))) return put(p, FALSE_), at;
  if (literal(p, PC_STR("true"))) return put(p, TRUE_), at;
  return number(p);
}

pc_value pc_parse(pc_str json) {
  // A digit and a comma, two bytes of text, are the most: three words for the number and one in its parent.
  parser p = {json.ptr, json.ptr + json.len, pc_alloc(32 + 16 * json.len), 16, pc_alloc(8 + 8 * json.len), 0, false};
  uint32_t root = value(&p, 0);
  space(&p);
  return (pc_value){p.tape, p.failed || p.at != p.end ? 0 : root};
}
