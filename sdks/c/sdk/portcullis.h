// Write Portcullis policies in C: one function and one macro for a stage, no C library.
//
//   static void check(pc_value config, const pc_value *values, pc_verdict *verdict) { … }
//   PC_VALIDATOR(check, "/object/metadata/labels")
//
// `config` is `spec.config` of the Plugin, `values` has a value for each path, and the answer is empty (which is: no
// objection) until something is put into it. All memory that a call takes is given back when it has ended.
//
// The structs are laid out as the canonical ABI lays out the records of wit/, so that answers need no translation.
#ifndef PORTCULLIS_H
#define PORTCULLIS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- Text and lists.

// Text in UTF-8 that does not end with a zero byte.
typedef struct {
  const char *ptr;
  size_t len;
} pc_str;

// The text of a literal.
#define PC_STR(literal) ((pc_str){(literal), sizeof(literal) - 1})
// Texts, one after another: PC_TEXT(PC_STR("not "), name).
#define PC_TEXT(...) \
  pc_text((pc_str[]){__VA_ARGS__}, sizeof((pc_str[]){__VA_ARGS__}) / sizeof(pc_str))

bool pc_equal(pc_str left, pc_str right);
bool pc_starts_with(pc_str text, pc_str start);
pc_str pc_text(const pc_str *parts, size_t count);
// A number in decimal.
pc_str pc_decimal(int64_t number);
// Text as a JSON string, with its quotes.
pc_str pc_json_string(pc_str text);

typedef struct {
  pc_str *items;
  size_t len;
} pc_strings;

// Memory until the end of the call (in `configure`: for good), all zero.
void *pc_alloc(size_t size);
// Appends to a list; the list may move.
void pc_push(pc_strings *list, pc_str text);

// ---- The tape: values that the host packed, read in place (wit/tape.md).

// A value, or *absent*, which is not null.
typedef struct {
  const uint8_t *tape;
  uint32_t at;
} pc_value;

typedef enum { PC_ABSENT, PC_NULL, PC_BOOL, PC_NUMBER, PC_STRING, PC_ARRAY, PC_OBJECT } pc_kind;

pc_kind pc_kind_of(pc_value value);
// The value of a whole tape.
pc_value pc_root(const uint8_t *tape);
// How many items an array or members an object has; 0 for all else.
size_t pc_len(pc_value value);
// Item `index` of an array, or absent.
pc_value pc_at(pc_value array, size_t index);
// The member of an object, or absent.
pc_value pc_get(pc_value object, pc_str key);
// Member `index` of an object in the order of the keys.
pc_value pc_member(pc_value object, size_t index, pc_str *key);
// The text, or the empty one if this is no string.
pc_str pc_string(pc_value value);
bool pc_true(pc_value value);
// Whether this is an integer, which is then put into `number`.
bool pc_int(pc_value value, int64_t *number);
double pc_float(pc_value value);
// JSON text as a tape; absent if it is none.
pc_value pc_parse(pc_str json);

// ---- Answers. They are those of wit/worlds.wit; a list is a pointer and a length.

typedef struct {
  pc_str field, reason, message;
} pc_cause;

typedef struct {
  uint16_t code;
  pc_str reason, message;
  pc_cause *causes;
  size_t causes_len;
} pc_denial;

typedef struct {
  pc_str key, value;
} pc_fact;

typedef struct {
  pc_fact *items;
  size_t len;
} pc_facts;

typedef struct {
  bool is_denied;
  pc_denial denied;
  pc_strings warnings;
  pc_facts audit;
} pc_verdict;

// Puts a refusal into a verdict.
void pc_deny(pc_verdict *verdict, pc_str message);
// Adds a fact for the audit log.
void pc_audit(pc_facts *facts, pc_str key, pc_str value);

typedef enum { PC_ADD, PC_REPLACE, PC_REMOVE, PC_TEST } pc_op;

typedef struct {
  uint8_t op;
  pc_str path, json;
} pc_operation;

typedef struct {
  bool is_denied;
  pc_denial denied;
  pc_operation *patch;
  size_t patch_len;
  pc_strings warnings;
  pc_facts audit;
} pc_mutation;

// Adds an operation; `json` is the new value as JSON text, empty for PC_REMOVE.
void pc_patch(pc_mutation *mutation, pc_op op, pc_str path, pc_str json);
// A key as a segment of a JSON pointer.
pc_str pc_segment(pc_str key);

typedef enum {
  PC_REQUIRED,
  PC_INVALID,
  PC_NOT_SUPPORTED,
  PC_DUPLICATE,
  PC_FORBIDDEN,
  PC_NOT_FOUND,
  PC_TOO_LONG,
  PC_TOO_MANY,
  PC_TYPE_INVALID
} pc_error_type;

typedef struct {
  uint8_t type;
  pc_str field, json, detail;
} pc_field_error;

typedef struct {
  pc_field_error *errors;
  size_t errors_len;
  pc_strings warnings;
} pc_findings;

void pc_error(pc_findings *findings, pc_error_type type, pc_str field, pc_str json, pc_str detail);

// Of an authorizer; no opinion until it is set.
typedef enum { PC_ALLOW, PC_DENY, PC_NO_OPINION } pc_decides;
typedef struct {
  uint8_t decides;
  pc_str why;
} pc_decision;

// Of an authenticator; no opinion until it is set.
typedef enum { PC_AUTHENTICATED, PC_NOBODY, PC_REJECTED } pc_finds;
typedef struct {
  uint8_t finds;
  union {
    struct {
      pc_str username, uid;
      pc_strings groups;
      void *extra;
      size_t extra_len;
    } user;
    pc_str why;
  };
} pc_outcome;

// For schedulers: columns of numbers, `column[resource * nodes + node]`.
typedef struct {
  uint32_t nodes;
  pc_strings resources;
  const int64_t *requests, *allocatable, *requested;
  // An array with an array of values for each node.
  pc_value values;
} pc_nodes;

typedef struct {
  int64_t *scores;
  size_t scores_len;
  pc_strings reasons;
} pc_placement;

// ---- What may be asked of the host.

typedef enum { PC_DEBUG, PC_INFO, PC_WARN, PC_ERROR } pc_level;
void pc_log(pc_level level, pc_str line);
// Milliseconds since 1970.
uint64_t pc_now(void);
// Paths of an object of the cluster, one value each in an array; absent if there is no such object or it cannot be read,
// and then `error` says why. Needs the grant clusterRead.
pc_value pc_cluster_get(pc_str resource, pc_str space, pc_str name, pc_strings paths, pc_str *error);

// ---- The macros, one of which a policy ends with.

#define PC_NAME(stage, function) "portcullis:policy/" stage "@0.1.0#" function
#define PC_EXPORT(name) __attribute__((export_name(name)))

typedef struct {
  uint8_t is_error;
  union {
    struct {
      pc_strings paths;
      uint8_t form;
    } declared;
    struct {
      pc_strings paths, node_paths;
      uint8_t form;
    } placing;
    pc_str error;
  };
} pc_configured;

extern pc_value pc_config;
extern const pc_value *pc_values(const uint8_t *input, size_t count);
pc_configured *pc_configure(pc_str json, const char *const *paths, size_t count);
pc_strings pc_list(const char *const *texts, size_t count);
void pc_end(void);

#define PC_PATHS_OF(...) ((const char *const[]){__VA_ARGS__})
#define PC_COUNT_OF(...) (sizeof(PC_PATHS_OF(__VA_ARGS__)) / sizeof(char *))

#define PC_STAGE(stage, method, type, function, first, ...)                                          \
  PC_EXPORT(PC_NAME(stage, "configure")) pc_configured *pc_export_configure(char *text, size_t len) { \
    return pc_configure((pc_str){text, len}, PC_PATHS_OF(__VA_ARGS__), PC_COUNT_OF(__VA_ARGS__));     \
  }                                                                                                  \
  PC_EXPORT(PC_NAME(stage, method)) type *pc_export_call(uint8_t *input, size_t len) {                \
    (void)len;                                                                                       \
    type *answer = pc_alloc(sizeof(type));                                                           \
    first;                                                                                           \
    function(pc_config, pc_values(input, PC_COUNT_OF(__VA_ARGS__)), answer);                          \
    return answer;                                                                                   \
  }                                                                                                  \
  PC_EXPORT("cabi_post_" PC_NAME(stage, method)) void pc_export_end(void *answer) {                   \
    (void)answer;                                                                                    \
    pc_end();                                                                                        \
  }

// function(pc_value config, const pc_value *values, pc_verdict *verdict)
#define PC_VALIDATOR(function, ...) \
  PC_STAGE("validator", "validate", pc_verdict, function, (void)0, __VA_ARGS__)
// function(pc_value config, const pc_value *values, pc_mutation *mutation)
#define PC_MUTATOR(function, ...) PC_STAGE("mutator", "mutate", pc_mutation, function, (void)0, __VA_ARGS__)
// function(pc_value config, const pc_value *values, pc_findings *findings)
#define PC_OBJECT_VALIDATOR(function, ...) \
  PC_STAGE("object-validator", "validate-object", pc_findings, function, (void)0, __VA_ARGS__)
// function(pc_value config, const pc_value *values, pc_decision *decision)
#define PC_AUTHORIZER(function, ...) \
  PC_STAGE("authorizer", "authorize", pc_decision, function, answer->decides = PC_NO_OPINION, __VA_ARGS__)
// function(pc_value config, const pc_value *values, pc_outcome *outcome)
#define PC_AUTHENTICATOR(function, ...) \
  PC_STAGE("authenticator", "authenticate", pc_outcome, function, answer->finds = PC_NOBODY, __VA_ARGS__)

#define PC_PATHS(...) __VA_ARGS__
// function(pc_value config, const pc_value *values, const pc_nodes *nodes, pc_placement *placement), with
// PC_PATHS(…) of {"pod": …} and PC_PATHS(…) of each node. The scores are there, all 0.
#define PC_SCHEDULER(function, of_pod, of_node)                                                                            \
  PC_EXPORT(PC_NAME("scheduler", "configure")) pc_configured *pc_export_configure(char *text, size_t len) {              \
    pc_configured *answer = pc_configure((pc_str){text, len}, PC_PATHS_OF(of_pod), PC_COUNT_OF(of_pod));                   \
    if (!answer->is_error) {                                                                                             \
      answer->placing.node_paths = pc_list(PC_PATHS_OF(of_node), PC_COUNT_OF(of_node));                            \
      answer->placing.form = 0;                                                                                          \
    }                                                                                                                    \
    return answer;                                                                                                       \
  }                                                                                                                      \
  PC_EXPORT(PC_NAME("scheduler", "place"))                                                                               \
  pc_placement *pc_export_call(uint8_t *input, size_t len, uint32_t count, pc_str *resources, size_t resources_len,      \
                               int64_t *requests, size_t requests_len, int64_t *allocatable, size_t allocatable_len,     \
                               int64_t *requested, size_t requested_len, uint8_t *packed, size_t packed_len) {           \
    (void)len, (void)requests_len, (void)allocatable_len, (void)requested_len, (void)packed_len;                         \
    pc_nodes nodes = {count, {resources, resources_len}, requests, allocatable, requested, pc_root(packed)};             \
    pc_placement *answer = pc_alloc(sizeof(pc_placement));                                                               \
    answer->scores = pc_alloc(count * sizeof(int64_t));                                                                  \
    answer->scores_len = count;                                                                                          \
    function(pc_config, pc_values(input, PC_COUNT_OF(of_pod)), &nodes, answer);                                           \
    return answer;                                                                                                       \
  }                                                                                                                      \
  PC_EXPORT("cabi_post_" PC_NAME("scheduler", "place")) void pc_export_end(void *answer) {                               \
    (void)answer;                                                                                                        \
    pc_end();                                                                                                            \
  }

#endif
