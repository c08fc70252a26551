const AGAIN = new Set([429, 502, 503, 504]);
const LONGEST_WAIT_SECONDS = 60;

/**
 * A `fetch` that asks again where that is safe, and waits as long as it is told to.
 *
 * Every POST has an `Idempotency-Key`, so that one whose answer was lost is not carried out a second time.
 */
export function retrying(inner: typeof fetch, retries: number): (request: Request) => Promise<Response> {
  return async (request) => {
    if (request.method === "POST" && !request.headers.has("Idempotency-Key")) {
      request.headers.set("Idempotency-Key", crypto.randomUUID());
    }
    for (let attempt = 0; ; attempt++) {
      const last = attempt >= retries;
      try {
        const response = await inner(last ? request : request.clone());
        if (last || !AGAIN.has(response.status)) return response;
        await response.body?.cancel();
        await pause(Number(response.headers.get("Retry-After")) || 0.5 * 2 ** attempt);
      } catch (error) {
        if (last || request.signal.aborted) throw error;
        await pause(0.5 * 2 ** attempt);
      }
    }
  };
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.min(seconds, LONGEST_WAIT_SECONDS) * 1000));
}
