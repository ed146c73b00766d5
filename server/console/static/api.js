// Speaking to the service: the one place that calls fetch.

/** ApiError is an answer that is not a success, or no answer at all (status 0). */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.message || "The service gave an answer that this page does not understand.");
    this.status = status;
    this.problem = problem;
    this.requestId = problem.request_id;
  }

  /** fieldMessage is what the service says of one field of the request's body, if anything. */
  fieldMessage(field) {
    return this.problem.errors?.find((error) => error.loc?.at(-1) === field)?.msg;
  }
}

const timeoutMilliseconds = 30_000;

const credentials = { csrfToken: "", organisation: "" };

/** use sets what later calls carry: the session's CSRF token, and the organisation that is meant. */
export function use({ csrfToken, organisation }) {
  if (csrfToken !== undefined) credentials.csrfToken = csrfToken;
  if (organisation !== undefined) credentials.organisation = organisation;
}

/**
 * call sends a request with the session cookie and returns the answer's JSON. It throws an ApiError
 * for everything but success. An answer 401 also fires "signed-out" on the document.
 */
export async function call(method, path, { query, body, signal } = {}) {
  const headers = { Accept: "application/json" };
  if (credentials.organisation) headers["Lastseen-Organisation"] = credentials.organisation;
  if (method !== "GET" && credentials.csrfToken) headers["X-CSRF-Token"] = credentials.csrfToken;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const timeout = AbortSignal.timeout(timeoutMilliseconds);
  let answer;
  try {
    answer = await fetch(query ? `${path}?${new URLSearchParams(query)}` : path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const text = await answer.text();
    if (answer.ok) return text === "" ? null : JSON.parse(text);
    throw new ApiError(answer.status, parseProblem(text));
  } catch (error) {
    if (signal?.aborted) throw error;
    const failure = error instanceof ApiError ? error : unreachable(error);
    if (failure.status === 401) document.dispatchEvent(new CustomEvent("signed-out", { detail: failure }));
    throw failure;
  }
}

function parseProblem(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

function unreachable(error) {
  const detail = error.name === "TimeoutError"
    ? "The service did not answer in time. Try again in a moment."
    : "The service cannot be reached. Check your connection and try again.";
  return new ApiError(0, { detail });
}
