/**
 * The API writes names with underscores and times as text; TypeScript writes camelCase and may hold a `Date`.
 *
 * What is below `variables` are names that people chose: they stay as they are.
 */

type Camel<S extends string> = S extends `${infer Head}_${infer Rest}` ? `${Head}${Capitalize<Camel<Rest>>}` : S;
type IsTime<K> = K extends `${string}_at` | `${string}_time` | `${string}_date` ? true : false;

/** An answer of the API with its names in camelCase. */
export type Answer<T> = T extends readonly (infer Item)[]
  ? Answer<Item>[]
  : T extends object
    ? { [K in keyof T as K extends string ? Camel<K> : K]: K extends "variables" ? T[K] : Answer<T[K]> }
    : T;

/** What a request takes: names in camelCase, and a `Date` wherever there is a time. */
export type Input<T> = T extends readonly (infer Item)[]
  ? Input<Item>[]
  : T extends object
    ? {
        [K in keyof T as K extends string ? Camel<K> : K]: K extends "variables"
          ? T[K]
          : Input<T[K]> | (IsTime<K> extends true ? Date : never);
      }
    : T;

const FREE = "variables";

export function toAnswer(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toAnswer);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
      key === FREE ? inner : toAnswer(inner),
    ]),
  );
}

export function toRequest(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(toRequest);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      key === FREE ? inner : toRequest(inner),
    ]),
  );
}
