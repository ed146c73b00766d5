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

/** address is a path with its query: what is undefined is left out. */
export function address(path, query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  return given.length > 0 ? `${path}?${new URLSearchParams(given)}` : path;
}

/**
 * call sends a request with the session cookie and returns the answer's JSON. It throws an ApiError
 * for everything but success. An answer 401 also fires "signed-out" on the document, and 403 "refused".
 */
export async function call(method, path, options = {}) {
  return (await ask(method, path, options)).value;
}

/**
 * ask is call for who needs more of the answer: it returns { value, status, headers, bytes }. With
 * read: "blob" the value is the body as it came. An answer 304 is a success without a value.
 */
export async function ask(method, path, { query, body, signal, headers = {}, timeout = timeoutMilliseconds, read = "json" } = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (credentials.organisation) sent["Lastseen-Organisation"] = credentials.organisation;
  if (method !== "GET" && credentials.csrfToken) sent["X-CSRF-Token"] = credentials.csrfToken;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(timeout);
  try {
    const answer = await fetch(address(path, query), {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    const { status, headers: received } = answer;
    if (answer.ok && read === "blob") return { value: await answer.blob(), status, headers: received };
    const text = await answer.text();
    if (answer.ok || status === 304) return { value: text === "" ? null : JSON.parse(text), status, headers: received };
    throw new ApiError(status, parseProblem(text));
  } catch (error) {
    if (signal?.aborted) throw error;
    const failure = error instanceof ApiError ? error : unreachable(error);
    if (failure.status === 403) document.dispatchEvent(new CustomEvent("refused", { detail: failure }));
    if (failure.status === 401) document.dispatchEvent(new CustomEvent("signed-out", { detail: failure }));
    throw failure;
  }
}

/**
 * listen asks for server-sent events with the session cookie. It calls opened() when they begin and heard({ event, data,
 * id, retry }) for each, also for one that says nothing but that the service is there, and returns when they end. It
 * throws as call does, also after silence for longer than timeout.
 */
export async function listen(path, { query, signal, headers = {}, timeout = 45_000, opened, heard }) {
  const sent = { Accept: "text/event-stream", ...headers };
  if (credentials.organisation) sent["Lastseen-Organisation"] = credentials.organisation;
  const silence = new AbortController();
  let limit = 0;
  const alive = () => {
    clearTimeout(limit);
    limit = setTimeout(() => silence.abort(new DOMException("Nothing was heard.", "TimeoutError")), timeout);
  };
  try {
    alive();
    const answer = await fetch(address(path, query), {
      headers: sent, cache: "no-store", credentials: "same-origin", redirect: "error", signal: AbortSignal.any([signal, silence.signal]),
    });
    if (!answer.ok) throw new ApiError(answer.status, parseProblem(await answer.text()));
    opened();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ;) {
      const { value, done } = await reader.read();
      if (done) return;
      alive();
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) heard(Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)])));
    }
  } catch (error) {
    if (signal.aborted) throw error;
    const failure = error instanceof ApiError ? error : unreachable(error);
    if (failure.status === 401) document.dispatchEvent(new CustomEvent("signed-out", { detail: failure }));
    throw failure;
  } finally {
    clearTimeout(limit);
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
  const timedOut = error.name === "TimeoutError";
  const detail = timedOut
    ? "The service did not answer in time. Try again in a moment."
    : "The service cannot be reached. Check your connection and try again.";
  return new ApiError(0, { detail, timedOut });
}
