import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { Client } from '../src/index.js'

export type Answering = (response: ServerResponse, request: IncomingMessage) => void

/** A server that gives one answer after the other, the last one for good, and a client that does not wait but notes for how long it would. */
export async function fake(t: TestContext, ...answers: Answering[]): Promise<{ client: Client; requests: IncomingMessage[]; waits: number[]; retries: unknown[] }> {
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    const next = answers[Math.min(requests.length, answers.length) - 1]
    next?.(response, request)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const waits: number[] = []
  const retries: unknown[] = []
  const client = new Client({
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    credential: 'secret',
    onRetry: (error) => retries.push(error),
    sleep: async (milliseconds, signal) => {
      signal?.throwIfAborted()
      waits.push(milliseconds)
    },
  })
  return { client, requests, waits, retries }
}

export function answer(status: number, body: string, headers: Record<string, string> = {}): Answering {
  return (response) => {
    response.writeHead(status, headers)
    response.end(body)
  }
}

export const hangUp: Answering = (response) => response.destroy()

/** The beginning of an answer, and then nothing more. */
export function cut(beginning: string): Answering {
  return (response) => {
    response.writeHead(200)
    response.write(beginning, () => response.destroy())
  }
}

/** A data point of the server's, some seconds after midnight. */
export function point(second: number): string {
  return JSON.stringify({
    _id: `p${second}`, timestamp: `2026-01-15T00:00:0${second}Z`, received_at_timestamp: '2026-01-15T00:00:59Z', schema_version: 1,
    location: { type: 'Feature', geometry: { type: 'Point', coordinates: [2, 1] }, properties: {} },
    metadata: { session_id: 's', outlier: false, paused: false },
  })
}

/** The parameters of a request. */
export function query(request: IncomingMessage | undefined): URLSearchParams {
  return new URL(request?.url ?? '', 'http://x').searchParams
}
