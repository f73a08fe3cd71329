// Types for portcullis.js. A JavaScript project gets them in its editor with `// @ts-check`; TypeScript is compiled to
// policy.js before `portcullis plugin build`.

/** A value inside a tape, or *absent*. */
export class Value {
  static of(bytes: Uint8Array): Value;
  readonly length: number;
  readonly isAbsent: boolean;
  readonly isArray: boolean;
  readonly isObject: boolean;
  readonly string: string;
  readonly js: unknown;
  get(key: string | number): Value;
  entries(): IterableIterator<[string, Value]>;
  [Symbol.iterator](): IterableIterator<Value>;
}

/** One value for each declared path. */
export type Values<P extends readonly string[]> = { [I in keyof P]: Value };

export interface Cause { field?: string; reason?: string; message?: string }
export interface Denial { message: string; code?: number; reason?: string; causes?: Cause[] }
export interface Said { warnings?: string[]; audit?: Record<string, unknown> }
export interface Verdict extends Said { denied?: Denial | string }
export interface PatchOperation { op: "add" | "replace" | "remove" | "test"; path: string; value?: unknown }
export interface Mutation extends Verdict { patch?: PatchOperation[] }
export interface FieldError {
  type?: "required" | "invalid" | "notSupported" | "duplicate" | "forbidden" | "notFound" | "tooLong" | "tooMany" | "typeInvalid";
  field: string;
  value?: unknown;
  detail?: string;
}
export interface User { username: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> }
export interface Nodes {
  count: number;
  resources: string[];
  requests: BigInt64Array;
  allocatable: BigInt64Array;
  requested: BigInt64Array;
  /** The value of path `path` of node `index`. */
  value(index: number, path: number): Value;
}
/** What a module exports under the name of its stage. */
export interface Stage { configure(config: string): unknown }

export function allow(more?: Said): Verdict;
export function deny(message: string, more?: Omit<Denial, "message">): Verdict;
export function validator<C, const P extends readonly string[]>(
  paths: P, check: (config: C, ...values: Values<P>) => Verdict | void): Stage;
export function mutator<C, const P extends readonly string[]>(
  paths: P, mutate: (config: C, ...values: Values<P>) => Mutation | void): Stage;
export function objectValidator<C, const P extends readonly string[]>(
  paths: P, check: (config: C, ...values: Values<P>) => FieldError[] | { errors?: FieldError[]; warnings?: string[] } | void): Stage;
export function authorizer<C, const P extends readonly string[]>(
  paths: P, authorize: (config: C, ...values: Values<P>) => "allow" | { deny: string } | { noOpinion: string } | void): Stage;
export function authenticator<C, const P extends readonly string[]>(
  paths: P, authenticate: (config: C, ...values: Values<P>) => User | { rejected: string } | void): Stage;
export function converter<C>(convert: (config: C, object: any, wanted: string) => any): Stage;
export function scheduler<C, const P extends readonly string[], const N extends readonly string[]>(
  paths: P, nodePaths: N, place: (config: C, nodes: Nodes, ...values: Values<P>) => { scores: (number | bigint)[]; reasons?: string[] }): Stage;
