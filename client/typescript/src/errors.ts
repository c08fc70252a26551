import type { components } from "./schema.js";

export type FieldProblem = components["schemas"]["FieldProblem"];

/** The API has refused a request, and says why: `errorCode` for programs, `errors` for each wrong field. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly errorCode: string,
    message: string,
    readonly errors: readonly FieldProblem[] = [],
  ) {
    super(message);
    this.name = "ApiError";
  }

  static from(status: number, body: unknown): ApiError {
    const problem = (typeof body === "object" && body !== null ? body : {}) as Partial<components["schemas"]["Problem"]>;
    return new ApiError(status, problem.error_code ?? "UNKNOWN", problem.detail ?? `HTTP ${status}`, problem.errors ?? []);
  }
}
