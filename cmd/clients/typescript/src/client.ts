import { AnswerError } from './errors.js'
import { lines } from './lines.js'
import { Requester, attempts, firstWait } from './request.js'
import type { Answer, Asked, Download, GetPath, Options, Query } from './request.js'
import type { components } from './schema.js'

const timeseries = '/tracking/timeseries/session_by_device'
const historyPath = `${timeseries}/data_points/v1`
const feedPath = `${timeseries}/data_points_feed/v1`
const changesPath = `${timeseries}/last_seen_changes/v1`
const sessionsPath = '/tracking/sessions/list/v1'

/** The longest that one request waits for a change, in seconds; longer waits are made of several. */
const longestPoll = 60
const historyPage = 100_000 // points
const feedPage = 10_000

export type DataPoint = components['schemas']['DataPoint']
export type Session = components['schemas']['Session']
export type Changes = components['schemas']['Changes']
export type Newest = components['schemas']['NewestPoints']
/** Parameters of the list of sessions. */
export type SessionFilter = Omit<Query<typeof sessionsPath>, 'cursor' | 'page'>

/** Some of what has arrived, and where to go on. */
export interface FeedPage {
  /** None when this is everything for now. */
  points: DataPoint[]
  cursor: string
}

/** What a Poll or a Batch was answered, and whether it is news since the last time. */
export interface News<T> {
  value: T
  changed: boolean
}

/** What every method takes besides. */
export interface Stop {
  /** Ends the request, or the loop, with its reason. */
  signal?: AbortSignal
}

/**
 * Makes requests with one credential. What may be made again is: after 429 and 503, as late as Retry-After asks for, and after a
 * broken connection, eight times at most. Errors are a Problem, an UnreachableError or an AnswerError, or the signal's reason.
 */
export class Client {
  readonly #requester: Requester

  constructor(options: Options) {
    this.#requester = new Requester(options)
  }

  /** Makes a GET request to any route of the API and returns its JSON. */
  async get<P extends GetPath>(path: P, query: Query<P>, { signal }: Stop = {}): Promise<Answer<P>> {
    const answer = await this.#requester.json({ method: 'GET', path, query: query as Record<string, unknown>, signal })
    return answer?.value as Answer<P>
  }

  /** The newest point of a session, null when it has none. */
  async lastSeen(session: string, stop: Stop = {}): Promise<DataPoint | null> {
    return (await this.poll(session).next(stop)).value
  }

  /** A Poll of a session that has seen nothing yet. */
  poll(session: string): Poll {
    return new Poll(this.#requester, session)
  }

  /** A Batch of 1 to 1,000 sessions that has seen nothing yet. */
  batch(sessions: readonly string[]): Batch {
    return new Batch(this.#requester, sessions)
  }

  /**
   * The newest point of every session and then what changes, for as long as the loop asks. It begins at a cursor, or anew. Whoever
   * keeps the next_cursor of what was handled goes on from there, also after a restart.
   */
  async *changes(cursor?: string, { signal }: Stop = {}): AsyncGenerator<Changes> {
    for (;;) {
      const asked: Asked = { method: 'GET', path: changesPath, query: { cursor }, signal }
      if (cursor !== undefined) asked.headers = { Prefer: `wait=${longestPoll}` }
      const changes = (await this.#requester.json(asked))?.value as Changes
      if (typeof changes?.next_cursor !== 'string') throw new AnswerError('there is no cursor')
      cursor = changes.next_cursor
      if (changes.data_points.length > 0 || changes.gone.length > 0 || changes.reset) yield changes
    }
  }

  /**
   * The points of a session from a time on and before another, in ascending order, outliers included, one at a time. It goes on after
   * the last point when an answer was cut.
   */
  async *dataPoints(session: string, start: Date, end: Date, { signal }: Stop = {}): AsyncGenerator<DataPoint> {
    const query: Record<string, unknown> = {
      session_id: session, start_timestamp: start.toISOString(), end_timestamp: end.toISOString(), format: 'ndjson', limit: historyPage,
    }
    const asked: Asked = { method: 'GET', path: historyPath, query, signal }
    let last = -Infinity
    let failures = 0
    for (;;) {
      const { body, next } = await this.#requester.again(() => this.#requester.open(asked), signal)
      try {
        for await (const line of lines(body)) {
          const point = parsed(line)
          const at = Date.parse(point.timestamp)
          if (at <= last) continue // it came before the cut
          yield point
          last = at
          failures = 0
        }
      } catch (error) {
        if (error instanceof AnswerError || signal?.aborted) throw error
        const cut = this.#requester.unreachable(error, signal)
        if (++failures >= attempts) throw cut
        await this.#requester.wait(firstWait * 2 ** failures, signal)
        continue
      }
      if (next === undefined) return
      query['cursor'] = next
    }
  }

  /**
   * Every point of the organisation's sessions by its arrival, a page at a time, for as long as the loop asks. It begins at a cursor, or
   * with the first point. Where everything was read it waits for some milliseconds and asks again. Keep the cursor together with
   * what the page's points became, and each arrival counts once.
   */
  async *feed(cursor?: string, pause = 1000, { signal }: Stop = {}): AsyncGenerator<FeedPage> {
    for (;;) {
      const page = await this.feedSince(cursor, feedPage, { ...(signal && { signal }) })
      cursor = page.cursor
      if (page.points.length > 0) yield page
      else await this.#requester.wait(pause, signal)
    }
  }

  /** One request of feed, for a page of so many points at most. */
  async feedSince(cursor: string | undefined, limit: number, { signal }: Stop = {}): Promise<FeedPage> {
    const answer = await this.#requester.json({ method: 'GET', path: feedPath, query: { cursor, limit }, signal })
    const page = answer?.value as components['schemas']['History']
    if (typeof page?.next_cursor !== 'string') throw new AnswerError('there is no cursor')
    return { points: page.data_points, cursor: page.next_cursor }
  }

  /**
   * The answer of a route that streams, such as a page of the feed as Parquet. save is given the body, and again where it was cut: it
   * must forget what it has saved before. The cursor of the next page is returned.
   */
  async download<P extends GetPath>(path: P, query: Query<P>, save: (body: Download['body']) => Promise<void>, { signal }: Stop = {}): Promise<string | undefined> {
    return this.#requester.again(async () => {
      const { body, next } = await this.#requester.open({ method: 'GET', path, query: query as Record<string, unknown>, signal })
      let cut: unknown
      const reader = body.getReader()
      const watched = new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          try {
            const { done, value } = await reader.read()
            if (done) controller.close()
            else controller.enqueue(value)
          } catch (error) {
            cut = error
            controller.error(error)
          }
        },
        cancel: (reason) => reader.cancel(reason),
      })
      try {
        await save(watched)
      } catch (error) {
        throw cut === undefined ? error : this.#requester.unreachable(cut, signal)
      }
      return next
    }, signal)
  }

  /** Every session that the caller sees and that the filter selects, each once however many are made meanwhile. */
  async *sessions(filter: SessionFilter = {}, { signal }: Stop = {}): AsyncGenerator<Session> {
    const query: Record<string, unknown> = { sort_by: 'created_at_timestamp', sort_order: 'asc', page_size: 1000, ...filter }
    for (;;) {
      const answer = await this.#requester.json({ method: 'GET', path: sessionsPath, query, signal })
      const page = answer?.value as components['schemas']['SessionPage']
      if (!Array.isArray(page?.items)) throw new AnswerError('there are no sessions')
      yield* page.items
      if (page.next_cursor === undefined) return
      query['cursor'] = page.next_cursor
    }
  }
}

function parsed(line: string): DataPoint {
  try {
    const point = JSON.parse(line) as DataPoint
    if (typeof point.timestamp !== 'string') throw new TypeError('a point without a time')
    return point
  } catch (cause) {
    throw new AnswerError(cause)
  }
}

/** Asks for the newest point of one session again and again, and remembers which it has. */
export class Poll {
  #tag: string | undefined
  #point: DataPoint | null = null

  constructor(readonly requester: Requester, readonly session: string) {}

  /** The newest point. With a wait, in seconds, the server answers only once there is news, or when it is over, of at most a minute. */
  async next({ wait = 0, signal }: Stop & { wait?: number } = {}): Promise<News<DataPoint | null>> {
    const headers = tagged(this.#tag)
    const seconds = Math.floor(Math.min(wait, longestPoll))
    if (this.#tag !== undefined && seconds > 0) headers['Prefer'] = `wait=${seconds}`
    const answer = await this.requester.json({ method: 'GET', path: `${timeseries}/last_seen/v1`, query: { session_id: this.session }, headers, signal })
    if (answer === undefined) return { value: this.#point, changed: false }
    this.#tag = answer.header.get('ETag') ?? undefined
    this.#point = answer.value as DataPoint | null
    return { value: this.#point, changed: true }
  }
}

/** Asks for the newest points of many sessions in one request, and remembers which it has. */
export class Batch {
  #tag: string | undefined
  #newest: Newest | undefined

  constructor(readonly requester: Requester, readonly sessions: readonly string[]) {}

  /** The newest points, in the order of the sessions; null without a point, and for what is not found. */
  async next({ signal }: Stop = {}): Promise<News<Newest>> {
    const answer = await this.requester.json({
      method: 'POST', path: `${timeseries}/last_seen_batch/v1`, body: { session_ids: this.sessions }, headers: tagged(this.#tag), signal,
    })
    if (answer === undefined && this.#newest !== undefined) return { value: this.#newest, changed: false }
    const newest = answer?.value as Newest | undefined
    if (!Array.isArray(newest?.data_points)) throw new AnswerError('there are no points')
    this.#tag = answer?.header.get('ETag') ?? undefined
    this.#newest = newest
    return { value: newest, changed: true }
  }
}

function tagged(tag: string | undefined): Record<string, string> {
  return tag === undefined ? {} : { 'If-None-Match': tag }
}
