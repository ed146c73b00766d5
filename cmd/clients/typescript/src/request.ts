import { AnswerError, Problem, UnreachableError } from './errors.js'
import type { paths } from './schema.js'

/** How to reach a server. */
export interface Options {
  /** The server's address, such as https://tracking.example. */
  server: string
  /** An API key, a user token or a device credential; none for the public routes. */
  credential?: string
  /** Called with what has failed whenever a request is going to be made again. */
  onRetry?: (error: unknown) => void
  /** In place of the global fetch. */
  fetch?: typeof fetch
  /** In place of waiting; for tests. */
  sleep?: (milliseconds: number, signal?: AbortSignal) => Promise<void>
}

/** The paths that have a GET. */
export type GetPath = { [P in keyof paths]: paths[P] extends { get: { responses: unknown } } ? P : never }[keyof paths] & string

/** The parameters of a GET. */
export type Query<P extends GetPath> = paths[P] extends { get: { parameters: { query?: infer Q } } } ? NonNullable<Q> : Record<string, never>

/** The JSON that a GET answers with. */
export type Answer<P extends GetPath> = paths[P] extends { get: { responses: { 200: { content: { 'application/json': infer A } } } } } ? A : never

/** The answer of a route that streams. */
export interface Download {
  /** Ends with an error where the answer was cut. */
  body: ReadableStream<Uint8Array>
  /** Where to go on once the body came whole; undefined when there is no more. */
  next: string | undefined
}

/** What a request is made of. */
export interface Asked {
  method: 'GET' | 'POST'
  path: string
  query?: Record<string, unknown>
  headers?: Record<string, string>
  body?: unknown
  signal?: AbortSignal | undefined
}

export const attempts = 8 // of one request
export const firstWait = 200 // milliseconds
const longestWait = 10_000
/** The longest wait that the server is granted, in seconds. Who is asked for a longer one gets the Problem that says so. */
const longestAsked = 60
/** How long an answer may take to begin, beyond what the server was asked to wait, in milliseconds. */
const answerTimeout = 120_000

/** Makes requests, and makes them again after 429, 503 and a broken connection. All that it is used for may be repeated. */
export class Requester {
  readonly #base: URL
  readonly #options: Options
  readonly #sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>

  constructor(options: Options) {
    this.#base = new URL(options.server)
    if (this.#base.protocol !== 'http:' && this.#base.protocol !== 'https:') throw new TypeError('the server address must look like http://127.0.0.1:8080')
    this.#options = options
    this.#sleep = options.sleep ?? sleep
  }

  /** Returns a JSON answer with its header, or undefined for 304. */
  async json(asked: Asked): Promise<{ value: unknown; header: Headers } | undefined> {
    return this.again(async () => {
      const response = await this.#once(asked)
      if (response.status === 304) return undefined
      const text = await this.#whole(response, asked.signal)
      try {
        return { value: JSON.parse(text), header: response.headers }
      } catch (cause) {
        throw new AnswerError(cause)
      }
    }, asked.signal)
  }

  /** Makes one attempt at a request whose answer is streamed. */
  async open(asked: Asked): Promise<Download> {
    const response = await this.#once(asked)
    if (response.body === null) throw new AnswerError('there is no body')
    return { body: response.body, next: response.headers.get('Next-Cursor') ?? undefined }
  }

  /** Calls once until it succeeds, fails for good, or for the last time. */
  async again<T>(once: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    let backoff = firstWait
    for (let attempt = 1; ; attempt++) {
      try {
        return await once()
      } catch (error) {
        signal?.throwIfAborted()
        if (attempt === attempts || !mayRepeat(error)) throw error
        this.#options.onRetry?.(error)
        const asked = error instanceof Problem ? error.retryAfter * 1000 : 0
        await this.#sleep(Math.max(asked, (backoff / 2) * (1 + Math.random())), signal)
        backoff = Math.min(2 * backoff, longestWait)
      }
    }
  }

  /** Waits as requests that are made again do. */
  wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return this.#sleep(milliseconds, signal)
  }

  /** What went wrong on the way, in the client's words. */
  unreachable(cause: unknown, signal?: AbortSignal): unknown {
    return signal?.aborted ? signal.reason : new UnreachableError(this.#base.origin, cause)
  }

  async #once(asked: Asked): Promise<Response> {
    const target = new URL(this.#base.pathname.replace(/\/$/, '') + asked.path, this.#base)
    for (const [name, value] of Object.entries(asked.query ?? {})) {
      if (value !== undefined) target.searchParams.set(name, String(value))
    }
    const headers = new Headers(asked.headers)
    if (this.#options.credential) headers.set('Authorization', `Bearer ${this.#options.credential}`)
    if (asked.body !== undefined) headers.set('Content-Type', 'application/json')
    const body = asked.body === undefined ? null : JSON.stringify(asked.body)
    const begins = new AbortController()
    const late = setTimeout(() => begins.abort(new Error('there was no answer in time')), answerTimeout)
    const signal = asked.signal ? AbortSignal.any([asked.signal, begins.signal]) : begins.signal
    let response: Response
    try {
      response = await (this.#options.fetch ?? fetch)(target, { method: asked.method, headers, body, signal, redirect: 'error' })
    } catch (cause) {
      throw this.unreachable(cause, asked.signal)
    } finally {
      clearTimeout(late)
    }
    if (response.ok || response.status === 304) return response
    let said: unknown
    try {
      said = JSON.parse(await this.#whole(response, asked.signal))
    } catch (cause) {
      if (cause instanceof UnreachableError) throw cause
      said = undefined // a proxy's page, say
    }
    throw new Problem(response.status, Number(response.headers.get('Retry-After')) || 0, said)
  }

  async #whole(response: Response, signal?: AbortSignal): Promise<string> {
    try {
      return await response.text()
    } catch (cause) {
      throw this.unreachable(cause, signal)
    }
  }
}

function mayRepeat(error: unknown): boolean {
  if (error instanceof UnreachableError) return true
  return error instanceof Problem && (error.status === 429 || error.status === 503) && error.retryAfter <= longestAsked
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, milliseconds)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
