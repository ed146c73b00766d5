// Speaks to a lastseen server over HTTP, in browsers and in Node.js 20 or newer, with nothing but fetch.
//
// client.ts has the routes, request.ts makes requests again where that may help, errors.ts says what fails, lines.ts reads
// streams. schema.ts is generated from the server's OpenAPI document.
export { Batch, Client, Poll } from './client.js'
export type { Changes, DataPoint, FeedPage, Newest, News, Session, SessionFilter } from './client.js'
export { AnswerError, Problem, UnreachableError, temporary } from './errors.js'
export type { Download, GetPath, Options, Query } from './request.js'
export type { components, paths } from './schema.js'
