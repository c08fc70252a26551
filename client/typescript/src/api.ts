import createClient, { type Client } from "openapi-fetch";

import { type Answer, toAnswer } from "./casing.js";
import { ApiError } from "./errors.js";
import { retrying } from "./retrying.js";
import type { paths } from "./schema.js";

export interface Options {
  /** Where the gateway is, such as `http://127.0.0.1:8000`. */
  baseURL: string;
  /** A key or an access token, sent as `Authorization: Bearer`. Without one only a gateway in open mode answers. */
  apiKey?: string;
  /** How often a request is asked again that was not answered, or with "not now". */
  retries?: number;
  /** What asks instead of the platform's own `fetch`. */
  fetch?: typeof fetch;
}

export type Api = Client<paths>;

export function connect({ baseURL, apiKey, retries = 3, fetch: inner = fetch }: Options): Api {
  return createClient<paths>({
    baseUrl: baseURL.replace(/\/+$/, "").replace(/\/api$/, ""),
    headers: apiKey ? { Authorization: `Bearer ${apiKey}` } : {},
    fetch: retrying(inner, retries),
  });
}

/** The answer to a call; what the API refuses is thrown as an `ApiError`. */
export async function answer<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<Answer<T>> {
  const { data, error, response } = await call;
  if (!response.ok) throw ApiError.from(response.status, error);
  return toAnswer(data) as Answer<T>;
}

export interface Paging {
  page?: number;
  perPage?: number;
}

/** Every item of a list, asked for a page at a time. */
export async function* all<T>(load: (page: Paging) => Promise<{ items: T[]; pages: number }>): AsyncGenerator<T> {
  for (let page = 1, pages = 1; page <= pages; page++) {
    const found = await load({ page, perPage: 100 });
    pages = found.pages;
    yield* found.items;
  }
}
