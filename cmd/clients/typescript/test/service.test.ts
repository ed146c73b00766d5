// The client and its examples against a real service: LASTSEEN_BINARY names the program.
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test from 'node:test'
import { promisify } from 'node:util'
import { Client, Problem } from '../src/index.js'

const binary = process.env['LASTSEEN_BINARY']
const start = Date.UTC(2026, 0, 15)

/** Starts a service with two sessions, of which the first has some points, and returns a key. */
async function service(t: test.TestContext): Promise<{ server: string; token: string; key: string; sessions: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'lastseen-typescript-'))
  const data = join(folder, 'data')
  const process_ = spawn(binary ?? '', ['serve', '--addr', '127.0.0.1:0', '--data-dir', data, '--admin-addr', ''], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise((resolve) => process_.once('exit', resolve))
  t.after(async () => {
    process_.kill('SIGTERM')
    await ended
    rmSync(folder, { recursive: true })
  })
  let server = ''
  for await (const line of createInterface(process_.stderr)) {
    const entry = JSON.parse(line) as { msg: string; address: string }
    if (entry.msg !== 'listening') continue
    server = `http://${entry.address}`
    break
  }
  process_.stderr.resume()
  const env = { ...process.env, LASTSEEN_SERVER: server }
  const run = (...args: string[]): string => execFileSync(binary ?? '', args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  const token = run('token', '--data-dir', data, '--org', 'org_ts', '--user', 'u', '--role', 'owner')
  const post = async (path: string, body: unknown): Promise<unknown> => {
    const response = await fetch(server + path, { method: 'POST', headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
    assert.ok(response.ok, `${path}: ${response.status}`)
    return response.json()
  }
  const sessions: string[] = []
  for (const mac of ['AA:BB:CC:00:00:01', 'AA:BB:CC:00:00:02']) {
    const device = await post('/tracking/devices/register_to_org/v1', { schema_version: 1, device_mac_address: mac })
    sessions.push((await post(`/tracking/sessions/create_session/v1?device_id=${device}`, { schema_version: 1 })) as string)
  }
  const points = Array.from({ length: 500 }, (_, i) => ({ session_id: sessions[0], timestamp: new Date(start + i * 1000).toISOString(), latitude: 40 + i / 1e4, longitude: -73 }))
  await post('/tracking/timeseries/session_by_device/ingest/v1', { points })
  return { server, token, key: run('keys', 'create', '--token', token, '--name', 'ts'), sessions }
}

test('against a service', { skip: binary === undefined && 'LASTSEEN_BINARY names no program' }, async (t) => {
  const { server, token, key, sessions } = await service(t)
  const client = new Client({ server, credential: key })
  const [first = '', second = ''] = sessions
  const last = new Date(start + 499_000).toISOString().replace('.000', '')
  const example = async (name: string, ...args: string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [join(import.meta.dirname, '..', 'examples', name), ...args], { env: { ...process.env, LASTSEEN_SERVER: server, LASTSEEN_KEY: key } })).stdout

  await t.test('polls, batches, histories, feeds and lists', async () => {
    const poll = client.poll(first)
    assert.equal((await poll.next()).value?.timestamp, last)
    assert.equal((await poll.next()).changed, false)
    assert.equal((await poll.next({ wait: 1 })).changed, false)
    assert.equal(await client.lastSeen(second), null)
    const batch = client.batch([first, second, '0'.repeat(24)])
    const { value } = await batch.next()
    assert.deepEqual([value.data_points[0]?.timestamp, value.data_points[1], value.not_found.length], [last, null, 1])
    assert.equal((await batch.next()).changed, false)
    let points = 0
    for await (const point of client.dataPoints(first, new Date(start), new Date(start + 86_400_000))) points += point.metadata.outlier ? 0 : 1
    assert.equal(points, 500)
    const page = await client.feedSince(undefined, 300)
    const rest = await client.feedSince(page.cursor, 300)
    assert.deepEqual([page.points.length, rest.points.length, (await client.feedSince(rest.cursor, 300)).points.length], [300, 200, 0])
    const listed: string[] = []
    for await (const session of client.sessions({ page_size: 1 })) listed.push(session._id)
    assert.deepEqual(listed.sort(), [...sessions].sort())
    assert.equal((await client.get('/tracking/sessions/get/v1', { session_id: second })).device_mac_address, 'AA:BB:CC:00:00:02')
    await assert.rejects(client.get('/tracking/sessions/get/v1', { session_id: '0'.repeat(24) }), (error) => error instanceof Problem && error.status === 404)
  })

  await t.test('changes come as they happen', async () => {
    const news: string[] = []
    for await (const changes of client.changes()) {
      news.push(...changes.data_points.map((point) => point.metadata.session_id))
      if (news.includes(second)) break
      const sent = await fetch(`${server}/tracking/timeseries/session_by_device/ingest/v1`, {
        method: 'POST', headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
        body: JSON.stringify([{ session_id: second, timestamp: new Date(start).toISOString(), latitude: 1, longitude: 2 }]),
      })
      assert.equal(sent.status, 200)
    }
    assert.deepEqual(news, [first, second])
  })

  await t.test('the examples', async () => {
    assert.match(await example('batch.js', first, '0'.repeat(24)), new RegExp(`${first} ${last} 40.0499 -73\n0+ nowhere\n`))
    const folder = mkdtempSync(join(tmpdir(), 'lastseen-feed-'))
    t.after(() => rmSync(folder, { recursive: true }))
    assert.match(await example('feed.js', folder), /wrote the points/)
    assert.equal(await example('feed.js', folder), '') // nothing is new
    const files = readdirSync(folder).filter((name) => name.endsWith('.parquet'))
    assert.equal(files.length, 1)
    assert.equal(readFileSync(join(folder, files[0] ?? '')).subarray(0, 4).toString(), 'PAR1')
    assert.match(await firstLine('poll.js', first), new RegExp(`${last} 40.0499 -73`))
    assert.match(await firstLine('changes.js'), /^[0-9a-f]{24} 2026-01-15T/)
  })

  /** The first line of an example that goes on for ever. */
  async function firstLine(name: string, ...args: string[]): Promise<string> {
    const running = spawn(process.execPath, [join(import.meta.dirname, '..', 'examples', name), ...args], {
      env: { ...process.env, LASTSEEN_SERVER: server, LASTSEEN_KEY: key }, stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = new Promise((resolve) => running.once('exit', resolve))
    for await (const line of createInterface(running.stdout)) {
      running.kill()
      await ended
      return line
    }
    throw new Error(`${name} says nothing`)
  }
})
