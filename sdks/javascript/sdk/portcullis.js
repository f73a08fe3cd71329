// Write Portcullis policies in JavaScript: one function for a stage.
//
//   import * as portcullis from "./sdk/portcullis.js";
//   export const validator = portcullis.validator(["/object/metadata/labels"], (config, labels) => …);
//
// A policy gets its configuration and then one Value (tape.js) for each path that it declares. What it returns may leave out
// whatever is empty. Types are in portcullis.d.ts.
import { Value } from "./tape.js";
export { Value };

/** The part that all stages share: the configuration, and the values of a call. */
function stage(paths, make) {
  let config;
  const values = (input) => {
    const root = Value.of(input);
    return paths.map((_, index) => root.get(index));
  };
  return {
    configure(text) {
      try {
        config = JSON.parse(text || "{}");
      } catch (error) {
        throw `config: ${error.message}`;
      }
      return { paths, form: "tape", nodePaths: make.nodePaths };
    },
    ...make(() => config, values),
  };
}

const list = (items) => items ?? [];
const pairs = (object) => Object.entries(object ?? {}).map(([key, value]) => ({ key, value: String(value) }));
const json = (value) => (value === undefined ? "" : JSON.stringify(value));

/** A refusal: text, or what `denial` in the interfaces has. */
function denial(denied) {
  if (denied === undefined || denied === null) return undefined;
  const { code = 0, reason = "", message = "", causes } = typeof denied === "string" ? { message: denied } : denied;
  const cause = ({ field = "", reason = "", message = "" }) => ({ field, reason, message });
  return { code, reason, message, causes: list(causes).map(cause) };
}

/** No objection; `audit` are facts for the audit log, `warnings` are shown to the caller. */
export const allow = (more = {}) => more;
/** A refusal with a sentence that tells the caller what to change. */
export const deny = (message, more = {}) => ({ denied: { message, ...more } });

/** A validator: `(config, ...values) => allow() | deny(…)`. */
export function validator(paths, check) {
  return stage(paths, (config, values) => ({
    validate(input) {
      const { denied, warnings, audit } = check(config(), ...values(input)) ?? {};
      return { denied: denial(denied), warnings: list(warnings), auditAnnotations: pairs(audit) };
    },
  }));
}

/** A mutator: `(config, ...values) => ({ patch: [{ op, path, value }] })`. */
export function mutator(paths, mutate) {
  return stage(paths, (config, values) => ({
    mutate(input) {
      const { denied, patch, warnings, audit } = mutate(config(), ...values(input)) ?? {};
      const operation = ({ op, path, value }) => ({ op, path, value: json(value) });
      return { denied: denial(denied), patch: list(patch).map(operation), warnings: list(warnings), auditAnnotations: pairs(audit) };
    },
  }));
}

/** An object validator: `(config, ...values) => [{ type, field, value, detail }]`. */
export function objectValidator(paths, check) {
  return stage(paths, (config, values) => ({
    validateObject(input) {
      const found = check(config(), ...values(input)) ?? [];
      const { errors, warnings } = Array.isArray(found) ? { errors: found } : found;
      const one = ({ type = "invalid", field = "", value, detail = "" }) => ({
        errorType: type.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), field, value: json(value), detail,
      });
      return { errors: list(errors).map(one), warnings: list(warnings) };
    },
  }));
}

/** An authorizer: `(config, ...values) => "allow" | { deny: why } | { noOpinion: why }`; nothing is no opinion. */
export function authorizer(paths, authorize) {
  return stage(paths, (config, values) => ({
    authorize(input) {
      const decision = authorize(config(), ...values(input)) ?? { noOpinion: "" };
      if (decision === "allow") return { tag: "allow" };
      if (decision.deny !== undefined) return { tag: "deny", val: decision.deny };
      return { tag: "no-opinion", val: decision.noOpinion ?? "" };
    },
  }));
}

/** An authenticator: `(config, ...values) => ({ username, groups }) | { rejected: why }`; nothing is no opinion. */
export function authenticator(paths, authenticate) {
  return stage(paths, (config, values) => ({
    authenticate(input) {
      const found = authenticate(config(), ...values(input));
      if (!found) return { tag: "no-opinion" };
      if (found.rejected !== undefined) return { tag: "rejected", val: found.rejected };
      const { username, uid = "", groups, extra } = found;
      return { tag: "authenticated", val: { username, uid, groups: list(groups), extra: Object.entries(extra ?? {}) } };
    },
  }));
}

/** A converter: `(config, object, wanted) => object`, for each object; `apiVersion` is set for it. To throw is to refuse. */
export function converter(convert) {
  return stage(["/request/desiredAPIVersion", "/objects"], (config, values) => ({
    convert(input) {
      const [wanted, objects] = values(input);
      const one = (object) => {
        try {
          return JSON.stringify({ ...convert(config(), object, wanted.string), apiVersion: wanted.string });
        } catch (error) {
          throw `${object.metadata?.name ?? ""}: ${error.message ?? error}`;
        }
      };
      return Array.from(objects, (object) => one(object.js));
    },
  }));
}

/** A scheduler: `(config, nodes, ...values) => ({ scores, reasons })`; see `node-batch` in the interfaces. */
export function scheduler(paths, nodePaths, place) {
  const made = (config, values) => ({
    place(input, batch) {
      const { nodes, resources, requests, allocatable, requested, nodeValues } = batch;
      const node = Value.of(nodeValues);
      const given = { count: nodes, resources, requests, allocatable, requested, value: (index, path) => node.get(index).get(path) };
      const { scores, reasons } = place(config(), given, ...values(input));
      return { scores: BigInt64Array.from(scores, BigInt), reasons: list(reasons) };
    },
  });
  made.nodePaths = nodePaths;
  return stage(paths, made);
}
