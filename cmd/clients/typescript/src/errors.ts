/** An answer that says no. */
export class Problem extends Error {
  override readonly name = 'Problem'
  /** What the server's log calls the request. */
  readonly requestId: string | undefined
  /** What is wrong with which parameter or field, of a 422. */
  readonly errors: readonly { loc: readonly (string | number)[]; msg: string }[]

  /** retryAfter is how many seconds the server asks to be left alone, 0 where it does not say. */
  constructor(readonly status: number, readonly retryAfter: number, body: unknown) {
    const said = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
    super(`the server answered ${status}: ${typeof said['detail'] === 'string' ? said['detail'] : 'it does not say why'}`)
    this.requestId = typeof said['request_id'] === 'string' ? said['request_id'] : undefined
    this.errors = Array.isArray(said['errors']) ? said['errors'] : []
  }
}

/** A request that got no answer, or not all of it. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError'
  constructor(server: string, cause: unknown) {
    super(`reach the server at ${server} (is it running?): ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** A successful answer that does not read; making the request again would not help. */
export class AnswerError extends Error {
  override readonly name = 'AnswerError'
  constructor(cause: unknown) {
    super("the server's answer is not what this client expects: check that the address is a lastseen server's", { cause })
  }
}

/** Whether what failed may be over when it is tried again later: the server is away, or has too much to do, or a fault. */
export function temporary(error: unknown): boolean {
  return error instanceof UnreachableError || (error instanceof Problem && (error.status === 429 || error.status >= 500))
}
