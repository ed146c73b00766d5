import assert from 'node:assert/strict'
import test from 'node:test'
import { AnswerError, Problem, UnreachableError, temporary } from '../src/index.js'
import { answer, cut, fake, hangUp, point, query } from './fake.js'

const day = [new Date('2026-01-15T00:00:00Z'), new Date('2026-01-16T00:00:00Z')] as const

test('a request is made again after 503 and 429, as late as the server asks, and after a broken connection', async (t) => {
  const { client, waits, requests, retries } = await fake(t, answer(503, '{"detail":"Busy."}', { 'Retry-After': '3' }), answer(429, '', { 'Retry-After': '60' }), hangUp, answer(200, point(1)))
  assert.equal((await client.lastSeen('s'))?._id, 'p1')
  assert.equal(requests[0]?.headers.authorization, 'Bearer secret')
  assert.deepEqual(waits.slice(0, 2), [3000, 60000])
  assert.ok(waits[2] !== undefined && waits[2] < 1000)
  assert.ok(retries[0] instanceof Problem && retries[2] instanceof UnreachableError)
})

test('but not for ever', async (t) => {
  const { client, requests } = await fake(t, answer(503, '{"detail":"Busy.","request_id":"r1"}'))
  await assert.rejects(client.lastSeen('s'), (error) => error instanceof Problem && error.status === 503 && error.requestId === 'r1' && temporary(error))
  assert.equal(requests.length, 8)
})

test('nor when the server asks for longer than a minute, nor after an answer that will not change', async (t) => {
  for (const refusal of [answer(429, '', { 'Retry-After': '61' }), answer(403, '{"detail":"Ask an owner."}'), answer(200, '<html>')]) {
    const { client, requests } = await fake(t, refusal)
    await assert.rejects(client.lastSeen('s'), (error) => error instanceof Problem || error instanceof AnswerError)
    assert.equal(requests.length, 1)
  }
})

test('nor once the caller has given up', async (t) => {
  const stop = new AbortController()
  const { client, requests } = await fake(t, (response) => {
    stop.abort(new Error('enough'))
    response.writeHead(503).end()
  })
  await assert.rejects(client.lastSeen('s', { signal: stop.signal }), /enough/)
  assert.equal(requests.length, 1)
})

test('a poll keeps its tag', async (t) => {
  const { client, requests } = await fake(t, answer(200, point(1), { ETag: '"1"' }), answer(304, ''), answer(200, 'null', { ETag: '"2"' }))
  const poll = client.poll('s')
  assert.deepEqual([await poll.next({ wait: 30 }), await poll.next({ wait: 30 }), await poll.next()].map(({ value, changed }) => [value?._id, changed]), [['p1', true], ['p1', false], [undefined, true]])
  assert.deepEqual(requests.map((r) => [r.headers['if-none-match'], r.headers['prefer']]), [[undefined, undefined], ['"1"', 'wait=30'], ['"1"', undefined]])
})

test('a batch keeps its tag', async (t) => {
  const { client, requests } = await fake(t, answer(200, `{"data_points":[${point(1)},null],"not_found":["b"]}`, { ETag: '"1"' }), answer(304, ''))
  const batch = client.batch(['a', 'b'])
  const first = await batch.next()
  const second = await batch.next()
  assert.ok(first.changed && !second.changed && second.value === first.value && first.value.data_points[1] === null)
  assert.equal(requests[1]?.headers['if-none-match'], '"1"')
})

test('changes follow the cursor', async (t) => {
  const page = (points: string, next: string) => answer(200, `{"data_points":[${points}],"gone":[],"next_cursor":"${next}","more":false}`)
  const { client, requests } = await fake(t, page(point(1), 'a'), page('', 'b'), answer(503, ''), page(point(2), 'c'), answer(401, '{"detail":"It was revoked."}'))
  const cursors: string[] = []
  await assert.rejects(async () => {
    for await (const changes of client.changes()) cursors.push(changes.next_cursor)
  }, (error) => error instanceof Problem && error.status === 401)
  assert.deepEqual(cursors, ['a', 'c'])
  assert.deepEqual(requests.map((r) => query(r).get('cursor')), [null, 'a', 'b', 'b', 'c'])
  assert.equal(requests[1]?.headers['prefer'], 'wait=60')
})

test('a history goes on where it was cut, and its pages follow each other', async (t) => {
  const all = [1, 2, 3].map(point).join('\n') + '\n'
  const { client, requests } = await fake(t, answer(503, ''), cut(all.slice(0, 2 * point(1).length + 20)), answer(200, all, { 'Next-Cursor': 'two' }), answer(200, point(4) + '\n'))
  const ids: string[] = []
  for await (const p of client.dataPoints('s', ...day)) ids.push(p._id)
  assert.deepEqual(ids, ['p1', 'p2', 'p3', 'p4'])
  assert.equal(query(requests[3]).get('cursor'), 'two')
})

test('a history that does not read is an error, and a loop over one may stop', async (t) => {
  const broken = await fake(t, answer(200, point(1) + '\n<html>\n'))
  await assert.rejects(async () => {
    for await (const _ of broken.client.dataPoints('s', ...day));
  }, AnswerError)
  const stopped = await fake(t, answer(200, point(1) + '\n' + point(2), { 'Next-Cursor': 'two' }))
  for await (const _ of stopped.client.dataPoints('s', ...day)) break
  assert.equal(stopped.requests.length, 1)
})

test('a feed waits where there is nothing new', async (t) => {
  const page = (points: string, next: string) => answer(200, `{"data_points":[${points}],"stationary_clusters":[],"next_cursor":"${next}"}`)
  const { client, waits } = await fake(t, page(point(1), 'a'), page('', 'b'), page(point(2), 'c'), answer(422, '{"detail":"The cursor is bad.","errors":[{"loc":["query","cursor"],"msg":"bad"}]}'))
  const cursors: string[] = []
  await assert.rejects(async () => {
    for await (const { cursor } of client.feed(undefined, 5000)) cursors.push(cursor)
  }, (error) => error instanceof Problem && error.errors[0]?.msg === 'bad')
  assert.deepEqual(cursors, ['a', 'c'])
  assert.deepEqual(waits, [5000])
})

test('a download starts over until a whole answer has come', async (t) => {
  const { client } = await fake(t, cut('half of it'), answer(200, 'all of it', { 'Next-Cursor': 'next' }))
  let saved = ''
  const next = await client.download('/tracking/timeseries/session_by_device/data_points_feed/v1', { format: 'csv' }, async (body) => {
    saved = await new Response(body).text()
  })
  assert.deepEqual([saved, next], ['all of it', 'next'])
})

test('what fails on the side of the saver is not tried again', async (t) => {
  const { client, requests } = await fake(t, answer(200, 'all of it'))
  await assert.rejects(client.download('/tracking/timeseries/session_by_device/data_points_feed/v1', {}, async () => Promise.reject(new Error('the disk is full'))), /the disk is full/)
  assert.equal(requests.length, 1)
})

test('sessions follow the cursor', async (t) => {
  const { client, requests } = await fake(t, answer(200, '{"items":[{"_id":"1"},{"_id":"2"}],"total_count":3,"next_cursor":"n"}'), answer(200, '{"items":[{"_id":"3"}],"total_count":3}'))
  const ids: string[] = []
  for await (const session of client.sessions({ search: 'x' })) ids.push(session._id)
  assert.deepEqual(ids, ['1', '2', '3'])
  assert.deepEqual([query(requests[1]).get('cursor'), query(requests[1]).get('search')], ['n', 'x'])
})
